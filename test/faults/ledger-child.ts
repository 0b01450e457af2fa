import 'reflect-metadata';
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { OnTableChange, PgListenerModule, type InsertChange, type TransactionalContext } from 'nestjs-pg-listener';

/** Keeps balances from transfers, each with two statements and a note, in a process that is killed. `argv`: URL, slot. */
const [url, slot] = process.argv.slice(2) as [string, string];

interface Transfer {
  readonly id: number;
  readonly payer: number;
  readonly payee: number;
  readonly amount: number;
}

@Injectable()
class Ledger {
  @OnTableChange('transfers', 'insert', { id: 'ledger', transactional: true })
  async apply({ record }: InsertChange<Transfer>, { client }: TransactionalContext): Promise<void> {
    const { id, payer, payee, amount } = record;
    await client.query('UPDATE balances SET amount = amount - $2 WHERE account = $1', [payer, amount]);
    await client.query('UPDATE balances SET amount = amount + $2 WHERE account = $1', [payee, amount]);
    await client.query('INSERT INTO applied (transfer) VALUES ($1)', [id]);
  }
}

@Module({
  imports: [PgListenerModule.forRoot({ connection: url, slot, service: 'ledger', startup: { wait: false } })],
  providers: [Ledger],
})
class AppModule {}

await NestFactory.createApplicationContext(AppModule, { logger: ['error'] });
process.on('disconnect', () => process.exit(0));
