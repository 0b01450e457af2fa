import { afterEach, describe, expect, it } from '@jest/globals';
import type { RowChange } from '#lib/changes/change.js';
import type { ParkedKeys, ParkedWork, ParkingRequest } from '#lib/interfaces/parked-store.interface.js';
import { MemoryParkedStore } from '#lib/testing/memory-parked.store.js';
import { turns, until } from '../waiting.js';
import { Deferred } from './dispatcher-bench.js';
import { ReadingBench } from './reading-bench.js';
import { tagOf } from './stream-bench.js';

let reading: ReadingBench | undefined;
afterEach(() => reading?.server.destroy());

/** Notes what is kept of each parked change: its table, and the row that its bytes are of. */
class ImageStore extends MemoryParkedStore {
  readonly images: string[] = [];
  override park(request: ParkingRequest): Promise<ParkedKeys | null> {
    const { cached, message } = request.image!;
    const row = /row \d+$/.exec(message.toString('latin1'))?.[0] ?? String.fromCharCode(message[0]!);
    this.images.push(`${cached.relation.table} ${row}`);
    return super.park(request);
  }
}
const PARKS = { onExhausted: 'park', retry: { attempts: 1 } } as const;

describe('what is parked while the stream is read on', () => {
  it('is the change that failed, though only a lane has it any more and others have been read since', async () => {
    const store = new ImageStore();
    const failing = async (change: RowChange) => {
      await turns(2);
      if (tagOf(change) === 'row 2') throw new Error('broken');
    };
    reading = await ReadingBench.start(
      [{ run: async () => undefined }, { id: 'Lane.on', concurrency: 4, ...PARKS, run: failing }],
      { store },
    );
    const rows = Array.from({ length: 8 }, (_, id) => reading!.row(id));
    reading.push(...reading.begin(), ...rows, reading.commit());
    await until(() => reading!.isSettled);
    expect(store.images).toEqual(['orders row 2']);
  });

  it('is of its own table where one Truncate was of several', async () => {
    const store = new ImageStore();
    const failing = async (change: RowChange) => {
      await turns(3);
      if (change.table === 'orders') throw new Error('broken');
    };
    reading = await ReadingBench.start([{ tables: ['orders', 'items'], ...PARKS, run: failing }], { store });
    reading.push(...reading.begin(), reading.truncate('orders', 'items'), reading.commit());
    await until(() => reading!.isSettled);
    expect(store.images).toEqual(['orders T']);
  });
});

describe('what waits for lanes that end at once when they are asked to', () => {
  const parkedRow = (handler: string, table: string): ParkedWork =>
    ({
      id: '9',
      handler,
      schema: 'public',
      table,
      keys: [],
      attempts: 1,
      work: {
        operation: 'insert',
        schema: 'public',
        table,
        record: { id: 9, tag: 'parked' },
        transaction: { lsn: '0/1' },
        id: '0/1/0',
        commitLsn: 1n,
      },
    }) as unknown as ParkedWork;

  /** A serial handler of `orders`, held at one row, and a synchronous one that takes arrays of `items`. */
  async function start(heldAt: string) {
    const log: string[] = [];
    const gate = new Deferred();
    const serial = async (change: RowChange) => {
      log.push(`begins ${tagOf(change)}`);
      if (tagOf(change) === heldAt) await gate.promise;
      else await turns(2);
      log.push(`ends ${tagOf(change)}`);
    };
    const batch = (changes: readonly RowChange[]) => void log.push(`batch ${changes.map(tagOf).join()}`);
    reading = await ReadingBench.start([
      { id: 'Serial.on', run: serial },
      { id: 'Batch.on', tables: ['items'], batch: { size: 10, maxWaitMs: 60_000 }, run: batch },
    ]);
    return { reading, log, gate };
  }

  it('is done before what follows in the chunk: a parked change of theirs', async () => {
    const { reading, log, gate } = await start('row 1');
    const rows = [reading.row(0, 'items'), ...[1, 2, 3].map((id) => reading.row(id))];
    reading.push(...reading.begin(), ...rows, reading.commit());
    await until(() => log.length > 0);
    const redriven = reading.bench.dispatcher.redrive(parkedRow('Batch.on', 'items'));
    gate.resolve();
    expect(await redriven).toBeUndefined();
    await until(() => reading.isSettled);
    expect(log).toEqual([
      'begins row 1',
      'ends row 1',
      'batch row 0',
      'batch parked',
      ...[2, 3].flatMap((id) => [`begins row ${id}`, `ends row ${id}`]),
    ]);
    expect(reading.bench.dispatcher.queue.pendingChanges).toBe(0);
  });

  it('is done before what follows in the chunk: a truncate', async () => {
    const { reading, log, gate } = await start('parked');
    reading.push(...reading.begin(), reading.row(0, 'items'));
    await until(() => !reading.bench.dispatcher.queue.isEmpty || reading.bench.dispatcher.queue.pendingChanges === 1);
    const redriven = reading.bench.dispatcher.redrive(parkedRow('Serial.on', 'orders'));
    reading.push(reading.truncate('orders'), reading.row(2), reading.commit());
    await new Promise<void>((resolve) => process.nextTick(resolve));
    gate.resolve();
    expect(await redriven).toBeUndefined();
    await until(() => reading.isSettled);
    expect(log.filter((line) => line.startsWith('begins'))).toEqual([
      'begins parked',
      'begins truncate',
      'begins row 2',
    ]);
    expect(reading.bench.dispatcher.queue.pendingChanges).toBe(0);
  });
});
