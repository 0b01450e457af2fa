import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LifecycleError } from '#lib/errors/app.error.js';
import { TransactionCollector } from '#lib/events/whole/transaction-collector.js';
import { allOf, captureNotes, COMMIT_LSN, keepAll, openSpillFiles } from './captured-changes.js';

const PLENTY = { changes: 1_000_000, bytes: 1_000_000_000 };
const OVER = 'are asked for after its end';

let folder: string;
let collectors: TransactionCollector[];

function collectorWith(limits: { changes: number; bytes: number }, chunkBytes = 1_000): TransactionCollector {
  const collector = new TransactionCollector(limits, { folder: () => folder, chunkBytes });
  collectors.push(collector);
  return collector;
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'collector-spec-'));
  collectors = [];
});
afterEach(() => {
  for (const collector of collectors) collector.clear();
  rmSync(folder, { recursive: true });
});

describe('TransactionCollector within the limits', () => {
  it('gives back the very changes, in order, as often as it is asked', async () => {
    const collector = collectorWith(PLENTY);
    const captured = captureNotes(50);
    keepAll(collector, captured);
    for (let round = 0; round < 2; round++) {
      const seen = await allOf(collector.changesOf(COMMIT_LSN));
      expect(seen).toHaveLength(50);
      expect(seen.every((change, at) => change === captured[at]!.change)).toBe(true);
    }
    expect([collector.spilledBytes, openSpillFiles(folder)]).toEqual([0, []]);
  });

  it('asks for no copy of what fits', () => {
    const collector = collectorWith({ changes: 1, bytes: 1_000 });
    const [{ change, image }] = captureNotes(1) as [ReturnType<typeof captureNotes>[0]];
    let copies = 0;
    const toKeep = {
      change,
      bytes: 1,
      get image() {
        copies++;
        return image;
      },
    };
    collector.add(toKeep);
    expect(copies).toBe(0);
    collector.add(toKeep);
    expect(copies).toBeGreaterThan(0);
  });

  it('keeps what came over no wire in memory, however much it is', async () => {
    const collector = collectorWith({ changes: 1, bytes: 1 });
    const captured = captureNotes(50);
    for (const { change, bytes } of captured) collector.add({ change, bytes, image: null });
    const seen = await allOf(collector.changesOf(COMMIT_LSN));
    expect(seen.map((change, at) => change === captured[at]!.change)).toEqual(Array(50).fill(true));
    expect(() => collector.add({ ...captured[0]!, bytes: 1 })).not.toThrow();
    expect(() => collector.add({ ...captured[0]!, bytes: 1, image: null })).toThrow(TypeError);
  });
});

describe.each([
  ['within the limits', PLENTY],
  ['above the limit of changes', { ...PLENTY, changes: 10 }],
  ['above the limit of bytes', { ...PLENTY, bytes: 1_000 }],
])('TransactionCollector %s', (_, limits) => {
  const isAbove = limits !== PLENTY;

  it('gives nothing of another transaction than the one it keeps', async () => {
    const collector = collectorWith(limits);
    expect(await allOf(collector.changesOf(COMMIT_LSN))).toEqual([]);
    keepAll(collector, captureNotes(100));
    expect(await allOf(collector.changesOf(1n))).toEqual([]);
    expect(openSpillFiles(folder)).toHaveLength(isAbove ? 1 : 0);
    keepAll(collector, captureNotes(30, 10, 0x500n));
    expect(await allOf(collector.changesOf(0x500n))).toHaveLength(30);
    expect(await allOf(collector.changesOf(COMMIT_LSN))).toEqual([]);
  });

  it('serves several readers at a time, each from the beginning', async () => {
    const collector = collectorWith(limits);
    const captured = captureNotes(300);
    keepAll(collector, captured);
    const changes = collector.changesOf(COMMIT_LSN);
    const early = changes[Symbol.asyncIterator]();
    for (let at = 0; at < 150; at++) await early.next();
    const [one, other] = await Promise.all([allOf(changes), allOf(changes)]);
    const wanted = captured.map(({ change }) => change);
    expect(one).toEqual(wanted);
    expect(other).toEqual(wanted);
    expect((await early.next()).value).toEqual(wanted[150]);
  });

  it('answers steps that are asked for at a time in turn', async () => {
    const collector = collectorWith(limits);
    keepAll(collector, captureNotes(200));
    const iterator = collector.changesOf(COMMIT_LSN)[Symbol.asyncIterator]();
    const steps = await Promise.all(Array.from({ length: 203 }, () => iterator.next()));
    expect(steps.map(({ value, done }) => (done ? 'done' : value.index))).toEqual([
      ...Array(200).keys(),
      'done',
      'done',
      'done',
    ]);
  });

  it('ends where the loop is left', async () => {
    const collector = collectorWith(limits);
    keepAll(collector, captureNotes(100));
    const iterator = collector.changesOf(COMMIT_LSN)[Symbol.asyncIterator]();
    expect((await iterator.next()).done).toBe(false);
    expect(await iterator.return!()).toEqual({ value: undefined, done: true });
    collector.clear();
    expect(await iterator.next()).toEqual({ value: undefined, done: true });
  });

  it('frees everything when it is cleared; who still reads is told so', async () => {
    const collector = collectorWith(limits);
    keepAll(collector, captureNotes(100));
    const changes = collector.changesOf(COMMIT_LSN);
    const finished = changes[Symbol.asyncIterator]();
    for (let at = 0; at <= 100; at++) await finished.next();
    const halfway = changes[Symbol.asyncIterator]();
    for (let at = 0; at < 15; at++) await halfway.next();
    expect(openSpillFiles(folder)).toHaveLength(isAbove ? 1 : 0);

    collector.clear();
    collector.clear();
    expect([openSpillFiles(folder), readdirSync(folder), collector.spilledBytes]).toEqual([[], [], 0]);
    await expect(halfway.next()).rejects.toThrow(LifecycleError);
    await expect(halfway.next()).rejects.toThrow(OVER);
    await expect(allOf(changes)).rejects.toThrow(OVER);
    expect(await finished.next()).toEqual({ value: undefined, done: true });
    expect(await allOf(collector.changesOf(COMMIT_LSN))).toEqual([]);
  });

  it('takes a transaction once more after it was given up', async () => {
    const collector = collectorWith(limits);
    const captured = captureNotes(60);
    keepAll(collector, captured.slice(0, 40));
    collector.clear();
    keepAll(collector, captured);
    expect(await allOf(collector.changesOf(COMMIT_LSN))).toEqual(captured.map(({ change }) => change));
  });

  it('gives the event loop its turns, though the loop over the changes waits for nothing', async () => {
    const collector = collectorWith(limits, 1_000_000);
    keepAll(collector, captureNotes(2_000, 10));
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    for await (const { index } of collector.changesOf(COMMIT_LSN)) {
      const end = performance.now() + 0.1;
      while (performance.now() < end) expect(index).toBeGreaterThanOrEqual(0);
    }
    clearInterval(timer);
    expect(turns).toBeGreaterThanOrEqual(3);
  });
});
