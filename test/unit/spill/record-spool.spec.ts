import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { RecordSpool } from '#lib/spill/record-spool.js';
import { openSpillFiles } from '../events/whole/captured-changes.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'record-spool-spec-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const fault = (what: string, cause: unknown): Error => new Error(what, { cause });
const spoolOf = (chunkBytes: number): RecordSpool => new RecordSpool({ folder: () => folder, chunkBytes }, fault);

function add(spool: RecordSpool, record: Buffer): void {
  const at = spool.reserve(record.length);
  record.copy(spool.chunk, at);
}

async function readAll(spool: RecordSpool): Promise<string[]> {
  const cursor = spool.cursor();
  const all: string[] = [];
  do {
    while (cursor.take()) all.push(cursor.bytes.toString('latin1', cursor.start, cursor.end));
  } while (cursor.fillFromMemory() || (await cursor.fill()));
  return all;
}

describe('a spool of records', () => {
  it('gives back what it was given, in order, whenever it goes to the disk, as often as it is read', async () => {
    const lengths = fc.array(fc.oneof(fc.nat(40), fc.nat(20_000)), { maxLength: 120 });
    const chunks = fc.constantFrom(64, 4096, 10_000);
    await fc.assert(
      fc.asyncProperty(lengths, chunks, fc.nat(150), async (chosen, chunkBytes, spillAt) => {
        const spool = spoolOf(chunkBytes);
        const records = chosen.map((length, at) => String.fromCharCode(33 + (at % 90)).repeat(length));
        records.forEach((record, at) => {
          if (at === spillAt) spool.spill();
          add(spool, Buffer.from(record, 'latin1'));
        });
        expect(await readAll(spool)).toEqual(records);
        expect(await readAll(spool)).toEqual(records);
        if (spillAt >= records.length) expect([spool.fileBytes, openSpillFiles(folder)]).toEqual([0, []]);
        spool.close();
        expect(openSpillFiles(folder)).toEqual([]);
      }),
      { numRuns: 200 },
    );
  });

  it('keeps one chunk in memory when it is on the disk', () => {
    const spool = spoolOf(4096);
    for (let at = 0; at < 100; at++) add(spool, Buffer.alloc(1000));
    expect(spool.memoryBytes).toBeGreaterThan(100_000);
    spool.spill();
    for (let at = 0; at < 100; at++) add(spool, Buffer.alloc(1000));
    expect(spool.memoryBytes).toBe(4096);
    expect(spool.fileBytes).toBeGreaterThan(195_000);
    spool.close();
  });

  it('that the disk does not take gives nothing back any more', async () => {
    const spool = spoolOf(64);
    rmSync(folder, { recursive: true });
    spool.spill();
    add(spool, Buffer.alloc(50));
    expect(() => add(spool, Buffer.alloc(50))).toThrow('cannot be kept in');
    expect(() => add(spool, Buffer.alloc(1))).toThrow(spool.fault!);
    expect(spool.fault!.cause).toMatchObject({ code: 'ENOENT' });
  });
});
