import { tmpdir } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import {
  changesOf,
  hasDelete,
  hasInsert,
  hasTruncate,
  hasUpdate,
  OnLogicalMessage,
  OnTableChange,
  OnTransaction,
  type Change,
  type InsertChange,
  type LogicalMessage,
  type Transaction,
  type TransactionSummary,
} from 'nestjs-pg-listener';
import { recorderOf, startApplication, type TestApplication } from '../support/application.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { openSpillFiles } from '../unit/events/whole/captured-changes.js';
import { sleep, waitFor } from '../support/wait.js';

const idOf = (change: Change): number => Number((change as InsertChange).record['id']);

describe('observables, transactions and logical messages', () => {
  let db: TestDatabase;
  let app: TestApplication | undefined;

  beforeAll(async () => {
    db = await createDatabase();
    await db.query('CREATE TABLE orders (id int PRIMARY KEY, status text); CREATE TABLE items (id int PRIMARY KEY)');
  });
  afterAll(async () => {
    await db?.drop();
  });
  const start = async (...parameters: Parameters<typeof startApplication>): Promise<TestApplication> =>
    (app = await startApplication(...parameters));
  const close = async (): Promise<void> => {
    await app?.close();
    app = undefined;
    await db.query('TRUNCATE orders, items');
  };

  it('gives a whole commit to @OnTransaction, in order, after its row handlers', async () => {
    const seen: string[] = [];
    const totals: unknown[] = [];
    @Injectable()
    class Handlers {
      @OnTableChange('orders')
      async row(change: Change): Promise<void> {
        await sleep(1);
        seen.push(`${change.operation} ${change.index}`);
      }
      @OnTransaction()
      async whole(transaction: Transaction): Promise<void> {
        const all: string[] = [];
        for await (const change of transaction.changes) all.push(`${change.table} ${change.operation}`);
        const inserted: number[] = [];
        for await (const change of changesOf<{ id: number }, 'insert'>(transaction, 'orders', 'insert'))
          inserted.push(change.record.id);
        seen.push(`commit of ${transaction.size}`);
        totals.push({
          all,
          inserted,
          inserts: transaction.count('public.orders', 'insert'),
          has: [
            hasInsert(transaction, 'orders'),
            hasUpdate(transaction),
            hasDelete(transaction, 'items'),
            hasTruncate(transaction),
          ],
        });
      }
    }
    await start({ connection: db.url, slot: db.slot('whole'), subscriptions: ['items'] }, [Handlers]);
    await db.query(
      `BEGIN; INSERT INTO orders VALUES (1), (2); INSERT INTO items VALUES (1); UPDATE orders SET status = 'x' WHERE id = 1; COMMIT`,
    );
    await db.query('DELETE FROM items');
    await waitFor(() => totals.length === 2, 'two commits');
    expect(seen).toEqual(['insert 0', 'insert 1', 'update 3', 'commit of 4', 'commit of 1']);
    expect(totals).toEqual([
      {
        all: ['orders insert', 'orders insert', 'items insert', 'orders update'],
        inserted: [1, 2],
        inserts: 2,
        has: [true, true, false, false],
      },
      { all: ['items delete'], inserted: [], inserts: 0, has: [false, false, true, false] },
    ]);
    await close();
  });

  it('gives a transaction above the limits whole, from disk, and leaves nothing there', async () => {
    const sums: { size: number; ids: number }[] = [];
    const open = (): string[] => openSpillFiles(tmpdir());
    let opened = 0;
    @Injectable()
    class Whole {
      @OnTransaction()
      async whole({ size, changes }: Transaction): Promise<void> {
        opened += open().length;
        let ids = 0;
        for await (const change of changes) ids += (change as InsertChange<{ id: number }>).record.id;
        sums.push({ size, ids });
      }
    }
    const slot = db.slot('large');
    await start({ connection: db.url, slot, subscriptions: ['items'], limits: { changes: 100 } }, [Whole]);
    await db.query('INSERT INTO items SELECT generate_series(10001, 30000)');
    await waitFor(() => sums.length === 1, 'the large transaction');
    expect(sums).toEqual([{ size: 20_000, ids: (20_000 * 40_001) / 2 }]);
    expect(opened).toBe(1);
    await waitFor(() => open().length === 0, 'the file to be closed');
    await close();
  });

  it('shows changes to observers that come and go, decoding only what somebody wants', async () => {
    const handler = recorderOf('items');
    await start({ connection: db.url, slot: db.slot('hot'), subscriptions: ['orders'] }, [handler]);
    const { listener } = app!;
    const all: string[] = [];
    const deletes: string[] = [];
    const summaries: TransactionSummary[] = [];
    await db.query('INSERT INTO orders VALUES (1)');
    // With its commit, which is read after it: whoever subscribes in between would be told of it.
    await waitFor(() => {
      const { changesReceived, unsettledTransactions } = listener.stats();
      return changesReceived === 1 && unsettledTransactions === 0;
    }, 'the unseen commit');
    listener.transactions().subscribe((summary) => summaries.push(summary));
    const first = listener.changes('orders').subscribe((change) => all.push(`${change.operation}`));
    listener.changes(['*'], 'delete').subscribe((change) => deletes.push(`${change.table}`));
    await db.query('INSERT INTO orders VALUES (2); INSERT INTO items VALUES (1)');
    await waitFor(() => handler.changes.length === 1, 'the handled change');
    first.unsubscribe();
    await db.query('DELETE FROM orders WHERE id = 1; DELETE FROM items');
    await waitFor(() => deletes.length === 2, 'both deletes');
    expect(all).toEqual(['insert']);
    expect(deletes).toEqual(['orders', 'items']);
    await waitFor(() => summaries.length === 2, 'both summaries');
    expect(summaries.map((each) => [each.size, each.count('orders'), each.count(undefined, 'delete')])).toEqual([
      [2, 1, 0],
      [2, 1, 2],
    ]);
    await close();
  });

  it('is not held up or harmed by an observer that throws', async () => {
    const handler = recorderOf('orders');
    await start({ connection: db.url, slot: db.slot('throws') }, [handler]);
    const looked: number[] = [];
    // In RxJS an error in a mapping ends that subscription and reaches its own error callback only.
    const errors: unknown[] = [];
    const { map } = await import('rxjs');
    app!.listener
      .changes('orders')
      .pipe(
        map(() => {
          throw new Error('observer');
        }),
      )
      .subscribe({ error: (error) => errors.push(error) });
    app!.listener.changes('orders').subscribe((change) => looked.push(idOf(change as Change)));
    await db.query('INSERT INTO orders VALUES (1), (2)');
    await waitFor(() => handler.changes.length === 2, 'the handler');
    expect(errors).toHaveLength(1);
    expect(looked).toEqual([1, 2]);
    await waitFor(() => app!.listener.stats().unsettledTransactions === 0, 'the position');
    await close();
  });

  it('delivers logical messages: with their commit, or at once; by prefix; in order with rows', async () => {
    const seen: string[] = [];
    @Injectable()
    class Outbox {
      @OnLogicalMessage('outbox')
      async message(message: LogicalMessage): Promise<void> {
        await sleep(1);
        seen.push(`${message.transactional ? 'in' : 'out'} ${message.text} ${message.xid === null ? '-' : 'xid'}`);
      }
      @OnLogicalMessage()
      every(message: LogicalMessage): void {
        seen.push(`every ${message.prefix}`);
      }
      @OnTableChange('orders')
      row(change: Change): void {
        seen.push(`row ${idOf(change)}`);
      }
    }
    await start({ connection: db.url, slot: db.slot('messages') }, [Outbox]);
    await db.query(
      `BEGIN; INSERT INTO orders VALUES (1); SELECT pg_logical_emit_message(true, 'outbox', 'ä'); INSERT INTO orders VALUES (2); COMMIT`,
    );
    await db.query(
      `BEGIN; SELECT pg_logical_emit_message(true, 'outbox', 'never'); SELECT pg_logical_emit_message(false, 'outbox', 'now'); ROLLBACK`,
    );
    await db.query(`SELECT pg_logical_emit_message(true, 'other', 'x')`);
    await waitFor(
      () => seen.length === 7,
      () => seen.join(),
    );
    expect(seen).toEqual(['row 1', 'in ä xid', 'every outbox', 'row 2', 'out now -', 'every outbox', 'every other']);
    await waitFor(() => app!.listener.stats().unsettledTransactions === 0, 'everything to settle');
    await close();
  });

  it('listens on a temporary slot, which is gone afterwards', async () => {
    const recorder = recorderOf('orders');
    await start({ connection: db.url, slot: 'temporary' }, [recorder]);
    const slots = (): Promise<{ temporary: boolean }[]> =>
      db.query('SELECT temporary FROM pg_replication_slots WHERE database = current_database() AND temporary');
    expect(await slots()).toHaveLength(1);
    await db.query('INSERT INTO orders VALUES (1)');
    await waitFor(() => recorder.changes.length === 1, 'the change');
    await db.query(
      'SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE temporary AND database = current_database()',
    );
    await waitFor(() => app!.listener.stats().reconnects === 1, 'the reconnect');
    await db.query('INSERT INTO orders VALUES (2)');
    await waitFor(() => recorder.changes.length === 2, 'the next change');
    await close();
    await waitFor(async () => (await slots()).length === 0, 'the slot to go');
  });
});
