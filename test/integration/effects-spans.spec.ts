import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { EffectsInterruptedError } from '#lib/errors/effects.error.js';
import { parseLsn } from '#lib/protocol/lsn.js';
import type { PgEffectsStore } from '#lib/store/effects/effects.store.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { EffectsBench } from '../support/effects/effects-bench.js';

/** What is done is known of the part of the log that one stream has brought. */
describe('the spans of what is done', () => {
  let db: TestDatabase;
  let bench: EffectsBench;

  beforeEach(async () => {
    db = await createDatabase();
    bench = await EffectsBench.of(db);
  });
  afterEach(async () => {
    await bench?.close();
    await db?.drop();
  });

  const logEnd = async (): Promise<bigint> =>
    parseLsn((await db.query('SELECT pg_current_wal_insert_lsn()::text AS lsn'))[0].lsn);

  it('stand for what was claimed one by one', async () => {
    const store = await bench.open({ from: 1000n });
    for (const lsn of [1000n, 1100n, 1200n]) expect(await bench.book(store, lsn)).toBe(true);
    expect(await bench.claims()).toBe(3);
    await bench.fold(store, 1100n);
    expect([await bench.claims(), await bench.spans()]).toEqual([1, ['shop 1000..1100']]);
    const other = await bench.open({ slotName: 'other', from: 900n });
    expect(await Promise.all([1000n, 1100n, 1200n].map((lsn) => bench.book(other, lsn)))).toEqual([
      false,
      false,
      false,
    ]);
    // The stream of the other slot has something from before.
    expect(await bench.book(other, 900n)).toBe(true);
  });

  it('do not cover what another stream of the handler has not done yet', async () => {
    const late = await bench.open({ slotName: 'late', from: 1000n });
    const quick = await bench.open({ slotName: 'quick', from: 5000n });
    expect(await bench.book(quick, 6000n)).toBe(true);
    await bench.fold(quick, 6000n);
    expect(await bench.book(late, 2000n)).toBe(true);
    expect(await bench.book(late, 6000n)).toBe(false);
    await bench.fold(late, 6000n);
    expect([await bench.spans(), await bench.claims()]).toEqual([['late 1000..6000', 'quick 5000..6000'], 0]);
    expect(await bench.book(quick, 7000n)).toBe(true);
    await bench.fold(quick, 7000n);
    expect([await bench.spans(), await bench.claims()]).toEqual([['late 1000..6000', 'quick 5000..7000'], 0]);
  });

  it('go on with the slot, over what nobody wanted', async () => {
    const first = await bench.open({ from: 1000n });
    await bench.book(first, 2000n);
    await bench.fold(first, 2000n);
    const second = await bench.open({ from: 8000n });
    await bench.book(second, 9000n);
    await bench.fold(second, 9000n);
    expect(await bench.spans()).toEqual(['shop 1000..9000']);
    // The server has lost its position in a crash.
    const third = await bench.open({ from: 1500n });
    expect(await bench.book(third, 2000n)).toBe(false);
  });

  it('begin anew where the slot is new, or something was passed over', async () => {
    const first = await bench.open({ from: 1000n });
    await bench.book(first, 2000n);
    await bench.fold(first, 2000n);
    const second = await bench.open({ from: 8000n, isContinued: false });
    await bench.book(second, 9000n);
    await bench.fold(second, 9000n);
    expect(await bench.spans()).toEqual(['shop 1000..2000', 'shop 8000..9000']);
    // Also where nothing came before the next connection.
    await bench.open({ from: 20_000n, slotName: 'quiet', isContinued: false });
    const quiet = await bench.open({ from: 30_000n, slotName: 'quiet' });
    await bench.fold(quiet, 30_000n);
    expect((await bench.spans()).at(-1)).toBe('quiet 20000..30000');
    const behind = await bench.open({ slotName: 'behind', from: 1000n });
    expect(await Promise.all([2000n, 3000n, 9000n].map((lsn) => bench.book(behind, lsn)))).toEqual([
      false,
      true,
      false,
    ]);
    // Of the last one, not of the one before.
    const third = await bench.open({ from: 9500n });
    await bench.book(third, 9600n);
    await bench.fold(third, 9600n);
    expect((await bench.spans()).slice(0, 2)).toEqual(['shop 1000..2000', 'shop 8000..9600']);
  });

  it('do not fall behind, nor reach over the beginning of their stream', async () => {
    const store = await bench.open({ from: 1000n });
    await bench.fold(store, 2000n);
    await bench.fold(store, 1500n);
    await bench.fold(store, 900n);
    expect(await bench.spans()).toEqual(['shop 1000..2000']);
  });

  it('of many processes at once never wait for each other in a circle', async () => {
    const stores = await Promise.all([1, 2, 3, 4].map((n) => bench.open({ slotName: `slot${n}`, from: 1000n })));
    const foldAll = async (store: PgEffectsStore): Promise<void> => {
      for (let lsn = 2000n; lsn < 2200n; lsn++) await bench.fold(store, lsn);
    };
    await Promise.all(stores.map(foldAll));
    expect((await bench.spans()).some((span) => span.endsWith(' 1000..2199'))).toBe(true);
  });

  it('of slots for one connection are said with those around them', async () => {
    const [one, other] = [
      await bench.open({ slotName: null, from: 1000n }),
      await bench.open({ slotName: null, from: 1500n }),
    ];
    await bench.fold(other, 2000n);
    await bench.fold(one, 2000n);
    expect(await bench.spans()).toEqual([' 1000..2000']);
  });

  it('of slots that are gone go after a day, when nobody can bring again what they cover', async () => {
    const gone = await bench.open({ slotName: null, from: 1000n });
    await bench.book(gone, 2000n);
    await bench.fold(gone, 2000n);
    // Of a process that had it in hand when it ended.
    await db.query(
      `INSERT INTO nestjs_pg_listener.claims SELECT progress_id, '0/1', '0/1', 0 FROM nestjs_pg_listener.spans`,
    );
    await bench.book(gone, 2500n);
    const age = (): Promise<unknown> =>
      db.query(`UPDATE nestjs_pg_listener.spans SET folded_at = now() - interval '25 hours' WHERE slot_name <> $1`, [
        kept,
      ]);
    const kept = db.slot();
    const named = await bench.open({ slotName: kept, from: 1500n });
    await bench.fold(named, 2000n);
    await age();
    await bench.open({ slotName: null, from: 3000n });
    // Without a slot, nothing says what may come.
    expect([await bench.spans(), await bench.claims()]).toEqual([[' 1000..2000', `${kept} 1500..2000`], 2]);
    await db.query(`SELECT pg_create_logical_replication_slot($1, 'pgoutput', true)`, [kept]);
    await db.query(`UPDATE nestjs_pg_listener.spans SET folded_at = now() WHERE slot_name <> $1`, [kept]);
    await bench.open({ slotName: null, from: 3000n });
    expect(await bench.spans()).toHaveLength(2);
    await age();
    await bench.open({ slotName: null, from: 3000n });
    expect([await bench.spans(), await bench.claims()]).toEqual([[`${kept} 1500..2000`], 1]);
  });

  it('are never written of a log that the server has lost', async () => {
    const beyond = (await logEnd()) + 0x4000_0000n;
    const store = await bench.open({ from: 1000n });
    await bench.fold(store, beyond);
    expect(await bench.spans()).toEqual([]);
    await expect(bench.book(store, beyond)).rejects.toThrow(EffectsInterruptedError);
    await expect(bench.book(store, beyond)).rejects.toThrow(/another history/);
    expect(await bench.claims()).toBe(0);
    expect(await bench.book(store, 2000n)).toBe(true);
  });

  it('know a history by more than its name: what was in hand of another one is neither done nor counted', async () => {
    const store = await bench.open({ from: 1000n });
    const before = bench.place(2000n);
    await bench.book(store, 1500n);
    const after = { ...bench.history };
    await store.open(bench.stream({ history: after, from: 1000n }));
    expect(await bench.book(store, before)).toBe(false);
    await bench.fold(store, 2000n);
    expect(await bench.spans()).toEqual([]);
    expect(await bench.book(store, bench.place(2000n, after))).toBe(true);
    // Nothing that led to the server as it was is used any more.
    const sessions = await db.query('SELECT session FROM booked ORDER BY seq');
    expect(new Set(sessions.map(({ session }: { session: number }) => session)).size).toBe(2);
  });

  it('use the connections of a stream for the next one of the same history', async () => {
    const store = await bench.open({ from: 1000n });
    await bench.book(store, 1500n);
    await store.open(bench.stream({ from: 1000n }));
    await bench.book(store, 1600n);
    const sessions = await db.query('SELECT session FROM booked ORDER BY seq');
    expect(new Set(sessions.map(({ session }: { session: number }) => session)).size).toBe(1);
  });
});
