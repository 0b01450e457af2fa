import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { SpillError } from '#lib/errors/delivery.error.js';
import { TransactionCollector } from '#lib/events/whole/transaction-collector.js';
import {
  begin,
  deletion,
  insert,
  origin,
  relation,
  truncation,
  UNCHANGED_TOAST,
  update,
  type Cell,
  type RelationSpec,
} from '../../../support/pgoutput-encoder.js';
import { allOf, captureAll, captureNotes, COMMIT_LSN, keepAll, openSpillFiles, targetOf } from './captured-changes.js';

const FEW = { changes: 3, bytes: 1_000_000 };
const CHUNK = 2_000;

let folder: string;
let collector: TransactionCollector;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'spill-spec-'));
  collector = new TransactionCollector(FEW, { folder: () => folder, chunkBytes: CHUNK });
});
afterEach(() => {
  collector.clear();
  rmSync(folder, { recursive: true, force: true });
});

/** A table, the same table after an ALTER, and one whose old rows come whole. */
const TABLES: readonly RelationSpec[] = [
  {
    id: 1,
    table: 'things',
    columns: [
      { name: 'id', typeOid: 20, isKey: true },
      { name: 'text', typeOid: 25 },
      { name: '__proto__', typeOid: 3802 },
    ],
  },
  {
    id: 1,
    table: 'things',
    columns: [
      { name: 'text', typeOid: 25, isKey: true },
      { name: 'größe', typeOid: 23 },
    ],
  },
  {
    id: 2,
    schema: 'Shop',
    table: 'things',
    replicaIdentity: 'f',
    columns: [
      { name: 'id', typeOid: 23, isKey: true },
      { name: 'at', typeOid: 1184, isKey: true },
      { name: 'data', typeOid: 17, isKey: true },
    ],
  },
];

const text = fc.oneof(fc.string({ unit: 'grapheme', maxLength: 300 }), fc.string({ unit: 'binary', maxLength: 20 }));
const number = fc.integer().map(String);
const VALUES = new Map<number, fc.Arbitrary<string>>([
  [20, number],
  [23, number],
  [25, text],
  [3802, fc.json()],
  [1184, fc.constantFrom('2026-01-02 03:04:05.678901+00', 'infinity', '0044-03-15 12:00:00+00 BC')],
  [17, fc.uint8Array({ maxLength: 200 }).map((bytes) => `\\x${Buffer.from(bytes).toString('hex')}`)],
]);

function cellsOf({ columns }: RelationSpec, others: readonly Cell[]): fc.Arbitrary<Cell[]> {
  const cells = columns.map(({ typeOid }) => fc.oneof({ weight: 4, arbitrary: VALUES.get(typeOid!)! }, any(others)));
  return fc.tuple(...cells);
}

function any<T>(values: readonly T[]): fc.Arbitrary<T> {
  return fc.constantFrom(...values);
}

/** Messages of one step: a row changes in some way, several tables are truncated, or one is described anew. */
function stepOf(table: RelationSpec): fc.Arbitrary<Buffer[]> {
  const sent = cellsOf(table, [null]);
  const updated = cellsOf(table, [null, UNCHANGED_TOAST]);
  const kind = table.replicaIdentity === 'f' ? 'O' : 'K';
  const change = fc.oneof(
    sent.map((cells) => insert(table.id, cells)),
    updated.map((cells) => update(table.id, cells)),
    fc.tuple(sent, updated).map(([old, cells]) => update(table.id, cells, { kind, cells: old })),
    sent.map((cells) => deletion(table.id, kind, cells)),
    fc.integer({ min: 0, max: 3 }).map((flags) => truncation([table.id, table.id], flags)),
  );
  return fc.tuple(fc.constant(relation(table)), change).map((both) => both);
}

describe('a transaction above the limits', () => {
  it('is read back as it came: identity, order, values', async () => {
    const steps = fc.array(fc.oneof(...TABLES.map(stepOf)), { minLength: 1, maxLength: 40 });
    const limits = fc.record({ changes: fc.integer({ min: 1, max: 8 }), bytes: fc.integer({ min: 1, max: 2_000 }) });
    const chunk = fc.constantFrom(24, 100, 600, 5_000, 256 * 1024);
    let spilled = 0;
    await fc.assert(
      fc.asyncProperty(steps, limits, chunk, async (parts, limit, chunkBytes) => {
        const captured = captureAll([begin(COMMIT_LSN, 4_000_000_000), origin('elsewhere'), ...parts.flat()]);
        const kept = new TransactionCollector(limit, { folder: () => folder, chunkBytes });
        try {
          keepAll(kept, captured);
          spilled += kept.spilledBytes > 0 ? 1 : 0;
          const [one, other] = await Promise.all([
            allOf(kept.changesOf(COMMIT_LSN)),
            allOf(kept.changesOf(COMMIT_LSN)),
          ]);
          const wanted = captured.map(({ change }) => change);
          expect(one).toStrictEqual(wanted);
          expect(other).toStrictEqual(wanted);
          expect(one.map(({ id, lsn, xid }) => [id, lsn, xid])).toEqual(
            wanted.map(({ id }) => [id, 'FFFFFFFF/FFFFFFF0', 4_000_000_000]),
          );
        } finally {
          kept.clear();
        }
      }),
    );
    expect(spilled).toBeGreaterThan(20);
  });

  it('may hold rows that are longer than what is read at a time', async () => {
    const captured = [
      ...captureNotes(5),
      ...captureNotes(2, 3 * CHUNK),
      ...captureNotes(50, 10),
      ...captureNotes(1, 9_999),
      ...captureNotes(1),
    ];
    keepAll(collector, captured);
    expect(await allOf(collector.changesOf(COMMIT_LSN))).toEqual(captured.map(({ change }) => change));
    expect(collector.spilledBytes).toBeGreaterThan(6 * CHUNK + 9_999);
  });

  it('does not touch the disk before the first chunk is full', async () => {
    const captured = captureNotes(15);
    keepAll(collector, captured);
    expect([collector.spilledBytes, openSpillFiles(folder)]).toEqual([0, []]);
    expect(await allOf(collector.changesOf(COMMIT_LSN))).toEqual(captured.map(({ change }) => change));
  });

  it('lies in a file without a name, that nobody else can read', () => {
    keepAll(collector, captureNotes(100));
    const [path, ...more] = openSpillFiles(folder);
    expect(more).toEqual([]);
    expect(targetOf(path!)).toMatch(new RegExp(`/pg-listener-spill-${process.pid}-\\w+/changes \\(deleted\\)$`));
    expect(statSync(path!).mode & 0o777).toBe(0o600);
    expect(statSync(path!).size).toBe(collector.spilledBytes);
    expect(readdirSync(folder)).toEqual([]);
    collector.clear();
    expect(openSpillFiles(folder)).toEqual([]);
  });

  it('survives that its folder is removed', async () => {
    keepAll(collector, captureNotes(50));
    rmSync(folder, { recursive: true });
    keepAll(collector, captureNotes(50));
    expect(await allOf(collector.changesOf(COMMIT_LSN))).toHaveLength(100);
  });

  it('may be cleared while it is read', async () => {
    keepAll(collector, captureNotes(500));
    const iterators = Array.from({ length: 8 }, () => collector.changesOf(COMMIT_LSN)[Symbol.asyncIterator]());
    for (let at = 0; at < 3; at++) await Promise.all(iterators.map((each) => each.next()));
    const steps = iterators.map((each) => each.next());
    collector.clear();
    const outcomes = await Promise.allSettled(steps);
    expect(outcomes.map(({ status }) => status)).toEqual(Array(8).fill('rejected'));
    expect(String((outcomes[0] as PromiseRejectedResult).reason)).toContain('are asked for after its end');
    expect(openSpillFiles(folder)).toEqual([]);
  });
});

/** What came of keeping the changes. @returns the SpillError and how much was kept before it */
function failureOf(captured: ReturnType<typeof captureNotes>): SpillError {
  try {
    keepAll(collector, captured);
  } catch (error) {
    if (error instanceof SpillError) return error;
    throw error;
  }
  throw new Error('everything was kept');
}

async function expectGivenUp(error: SpillError): Promise<void> {
  const [one] = captureNotes(1);
  // A part of a transaction must not pass for the whole.
  expect(() => collector.add(one!)).toThrow(error);
  await expect(allOf(collector.changesOf(COMMIT_LSN))).rejects.toBe(error);
  expect(collector.fault).toBe(error);
  expect(openSpillFiles(folder)).toEqual([]);
  collector.clear();
  expect(collector.fault).toBeNull();
}

describe('a transaction that the disk does not take', () => {
  it('is given up where the disk is full', async () => {
    const mount = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', folder], { encoding: 'utf8' });
    if (mount.status !== 0) {
      console.warn(`a full disk was not tried: no small file system can be mounted here (${mount.stderr})`);
      return;
    }
    try {
      const captured = captureNotes(5_000);
      const error = failureOf(captured);
      expect(error).toMatchObject({ code: 'PG_LISTENER_SPILL', fatal: true, cause: { code: 'ENOSPC' } });
      expect(error.message).toContain(`The transaction committed at FFFFFFFF/FFFFFFF0 is above the limits`);
      expect(error.message).toContain(`cannot be kept in ${folder}: ENOSPC`);
      expect(error.hint).toMatch(/TMPDIR.*limits\.changes and limits\.bytes.*Nothing is lost/s);
      await expectGivenUp(error);
      // The space is free again.
      keepAll(collector, captured.slice(0, 1_000));
      expect(await allOf(collector.changesOf(COMMIT_LSN))).toHaveLength(1_000);
      collector.clear();
    } finally {
      spawnSync('umount', [folder]);
    }
  });

  it('is given up where there is no such folder', async () => {
    rmSync(folder, { recursive: true });
    const error = failureOf(captureNotes(100));
    expect(error).toMatchObject({ cause: { code: 'ENOENT' } });
    expect(error.message).toContain(`${folder}: ENOENT`);
    await expectGivenUp(error);
  });

  it('is given up where the place is no folder', async () => {
    rmSync(folder, { recursive: true });
    writeFileSync(folder, '');
    await expectGivenUp(failureOf(captureNotes(100)));
  });

  it('is given up where the process may not write', async () => {
    chmodSync(folder, 0o500);
    const isRoot = process.geteuid!() === 0;
    if (isRoot) process.seteuid!(65_534);
    let error: SpillError;
    try {
      error = failureOf(captureNotes(100));
    } finally {
      if (isRoot) process.seteuid!(0);
    }
    expect(error).toMatchObject({ cause: { code: 'EACCES' } });
    await expectGivenUp(error);
  });
});

describe('a file that somebody else has changed', () => {
  it('fails its readers where it was cut short', async () => {
    keepAll(collector, captureNotes(200));
    const running = collector.changesOf(COMMIT_LSN)[Symbol.asyncIterator]();
    for (let at = 0; at < 10; at++) await running.next();
    truncateSync(openSpillFiles(folder)[0]!, 5_000);
    const error = await allOf(collector.changesOf(COMMIT_LSN)).catch((reason: unknown) => reason as SpillError);
    expect(error).toBeInstanceOf(SpillError);
    expect((error as SpillError).message).toContain(`was damaged in ${folder}: the file ends at byte 5000 of`);
    await expect(running.next()).rejects.toBe(error);
    await expectGivenUp(error as SpillError);
  });

  it('fails its readers where it was overwritten', async () => {
    keepAll(collector, captureNotes(200));
    writeFileSync(openSpillFiles(folder)[0]!, Buffer.alloc(collector.spilledBytes, 0xff));
    const error = await allOf(collector.changesOf(COMMIT_LSN)).catch((reason: unknown) => reason as SpillError);
    expect((error as SpillError).message).toContain('was damaged in');
    await expectGivenUp(error as SpillError);
  });
});
