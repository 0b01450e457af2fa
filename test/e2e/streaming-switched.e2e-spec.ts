import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import {
  OnTableChange,
  type InsertChange,
  type PgListenerOptions,
  type TransactionalContext,
  type UpdateChange,
} from 'nestjs-pg-listener';
import { slotToBeFree } from '../support/database.js';
import { StreamingBench } from '../support/streaming.js';
import { sleep, waitFor } from '../support/wait.js';

interface Row {
  readonly a: number;
}

/** What each start asks for; each is ended in the middle of a transaction, as a rule. */
const STARTS: readonly Partial<PgListenerOptions>[] = [
  { streaming: true },
  {},
  { streaming: true, binary: true },
  { binary: true },
  { streaming: true },
  {},
  { streaming: true, binary: true },
];
const TRANSACTIONS = 6;
/** Rows of each that stay, and an update. */
const CHANGES = 151;

let bench: StreamingBench;
beforeEach(async () => {
  bench = await StreamingBench.open();
  await bench.query(`
    CREATE TABLE t (a int PRIMARY KEY, b text, n numeric, at timestamptz DEFAULT now());
    CREATE TABLE effects (a int, id text); CREATE PUBLICATION only_t FOR TABLE t`);
});
afterEach(() => bench.close());

it('what a start asks for may change with each: a change is the same at the same place, and its effects come once', async () => {
  const texts = new Map<string, Set<string>>();
  @Injectable()
  class Effects {
    @OnTableChange('t', ['insert', 'update'], { transactional: true })
    async row(change: InsertChange<Row> | UpdateChange<Row>, { client }: TransactionalContext): Promise<void> {
      const known = texts.get(change.id) ?? new Set();
      texts.set(change.id, known.add(JSON.stringify(change)));
      const { a } = change.record;
      await client.query('INSERT INTO effects VALUES ($1, $2)', [a, change.id]);
    }
  }
  const slot = bench.db.slot('switched');
  const limits = { bytes: 20_000, changes: 30 };
  const all = { connection: bench.db.url, publications: ['only_t'], slot, limits, shutdownTimeoutMs: 30 };
  let app = await bench.apps.start({ ...all, streaming: true }, [Effects]);
  const rows = (from: number, to: number): string =>
    `INSERT INTO t SELECT x, repeat('x', 300), x / 7.0 FROM generate_series(${from}, ${to}) AS x`;
  for (let at = 0; at < TRANSACTIONS; at++) {
    const from = at * 10_000 + 1;
    await bench.query(`
      BEGIN; ${rows(from, from + CHANGES - 2)}; SAVEPOINT s; ${rows(from + 1_000, from + 1_100)}; ROLLBACK TO s;
      UPDATE t SET b = 'y' WHERE a = ${from}; COMMIT`);
  }
  // From here on, binary gives way to text.
  await bench.query('ALTER TABLE t ADD COLUMN m money; INSERT INTO t (a) VALUES (-1)');
  for (const start of STARTS) {
    await sleep(250);
    await app.close();
    await slotToBeFree(bench.db, slot);
    app = await bench.apps.start({ ...all, ...start }, [Effects]);
  }
  const isLast = async (): Promise<boolean> => (await bench.query('SELECT FROM effects WHERE a = -1')).length > 0;
  await waitFor(isLast, 'the last change', 60_000);
  const counts = await bench.query('SELECT count(*)::int AS all, count(DISTINCT id)::int AS ids FROM effects');
  const count = TRANSACTIONS * CHANGES + 1;
  expect(counts).toEqual([{ all: count, ids: count }]);
  expect([...texts.values()].filter(({ size }) => size > 1)).toEqual([]);
}, 120_000);
