import 'reflect-metadata';
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { OnTableChange, PgListener, PgListenerModule, type InsertChange, type UpdateChange } from 'nestjs-pg-listener';
import pg from 'pg';

/**
 * An application that parks, in a process of its own, for tests that kill it. `argv`: URL, slot.
 *
 * Writes each change of `accounts` into `journal`, unless its id is in `poison`: then it fails. Says so before it does.
 * On the message `retry` it tries again whatever is parked, and says what became of it.
 */
const [url, slot] = process.argv.slice(2) as [string, string];

interface Account {
  readonly id: number;
  readonly version: number;
}

@Injectable()
class AccountsHandler {
  private readonly pool = new pg.Pool({ connectionString: url, max: 1 });

  @OnTableChange<Account>('accounts', ['insert', 'update'], {
    id: 'accounts',
    onExhausted: 'park',
    retry: { attempts: 2, minDelayMs: 1 },
  })
  async write({ record: { id, version } }: InsertChange<Account> | UpdateChange<Account>): Promise<void> {
    const { rowCount } = await this.pool.query(
      `INSERT INTO journal (process, id, version)
       SELECT $1, $2, $3 WHERE NOT EXISTS (SELECT FROM poison WHERE poison.id = $2::int)`,
      [process.pid, id, version],
    );
    if (rowCount === 1) return;
    process.send?.({ throwing: id });
    throw new Error('poisoned');
  }
}

@Module({
  imports: [PgListenerModule.forRoot({ connection: url, slot, startup: { timeoutMs: 60_000 } })],
  providers: [AccountsHandler],
})
class AppModule {}

const app = await NestFactory.createApplicationContext(AppModule, { logger: ['error', 'warn'] });
const { parked } = app.get(PgListener);
process.on('message', () => {
  parked.retry().then(
    (outcome) => process.send?.({ outcome }),
    (error: unknown) => process.send?.({ outcome: String(error) }),
  );
});
process.send?.({ ready: true });
process.on('disconnect', () => process.exit(0));
