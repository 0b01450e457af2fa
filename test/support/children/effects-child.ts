import 'reflect-metadata';
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  OnTableChange,
  PgListener,
  PgListenerModule,
  type InsertChange,
  type TransactionalContext,
} from 'nestjs-pg-listener';

/**
 * An application with a transactional handler, in a process of its own, for tests that freeze it. `argv`: URL, slot, the id
 * at which it stays in its transaction, for how many milliseconds.
 */
const [url, slot, holdAt, holdMs] = process.argv.slice(2) as [string, string, string, string];

interface Order {
  readonly id: number;
}

@Injectable()
class Orders {
  @OnTableChange('orders', 'insert', { id: 'orders', transactional: true, onExhausted: 'halt', retry: { attempts: 1 } })
  async handle({ record }: InsertChange<Order>, { client }: TransactionalContext): Promise<void> {
    await client.query('INSERT INTO booked (id, note) VALUES ($1, $2)', [record.id, String(process.pid)]);
    process.send?.({ written: record.id });
    if (record.id !== Number(holdAt)) return;
    await new Promise((done) => setTimeout(done, Number(holdMs)));
    process.send?.({ returning: record.id });
  }
}

@Module({
  imports: [PgListenerModule.forRoot({ connection: url, slot, service: 'shop', startup: { wait: false } })],
  providers: [Orders],
})
class AppModule {}

const application = await NestFactory.createApplicationContext(AppModule, { logger: ['error', 'warn'] });
application.get(PgListener).status$.subscribe(({ state }) => process.send?.({ state }));
process.on('disconnect', () => process.exit(0));
