import { afterEach, describe, expect, it, jest } from '@jest/globals';
import type { RowChange } from '#lib/changes/change.js';
import type { ParkedKeys, ParkingRequest } from '#lib/interfaces/parked-store.interface.js';
import { MemoryParkedStore } from '#lib/testing/memory-parked.store.js';
import { until } from '../waiting.js';
import { Deferred, type HandlerSpec } from './dispatcher-bench.js';
import { ReadingBench } from './reading-bench.js';
import { stopClock, tagOf } from './stream-bench.js';

const ROWS = 100;

let reading: ReadingBench | undefined;
afterEach(() => {
  reading?.server.destroy();
  jest.restoreAllMocks();
});

/** Notes which row the bytes are of that are kept. */
class ImageStore extends MemoryParkedStore {
  readonly images: (string | undefined)[] = [];
  override park(request: ParkingRequest): Promise<ParkedKeys | null> {
    this.images.push(/row \d+$/.exec(request.image!.message.toString('latin1'))?.[0]);
    return super.park(request);
  }
}

/** One read of many rows, on its way from the socket to a handler. */
async function read(
  handler: (change: RowChange, pending: () => number) => unknown,
  more: Partial<HandlerSpec> = {},
  store = new MemoryParkedStore(),
) {
  const started: ReadingBench = await ReadingBench.start(
    [{ run: (change) => handler(change, () => started.bench.dispatcher.queue.pendingChanges), ...more }],
    { store },
  );
  reading = started;
  const ids = Array.from({ length: ROWS }, (_, index) => index);
  started.push(...started.begin(), ...ids.map((id) => started.row(id)), started.commit());
  return { reading: started, tags: ids.map((id) => `row ${id}`) };
}

describe('what one read has brought, while the handlers are quick', () => {
  stopClock();

  it('is read one by one where an asynchronous handler waits for nothing: nothing is queued', async () => {
    const seen: string[] = [];
    const pending = new Set<number>();
    const { reading, tags } = await read(async (change, pendingChanges) => {
      seen.push(tagOf(change));
      pending.add(pendingChanges());
    });
    await until(() => reading.isSettled);
    expect(seen).toEqual(tags);
    expect([...pending]).toEqual([1]);
  });
});

describe('what one read has brought', () => {
  it('is all read where a handler takes longer than the microtasks: so that it is counted, and keepalives are heard', async () => {
    const gate = new Deferred();
    const seen: string[] = [];
    const { reading, tags } = await read(async (change) => {
      seen.push(tagOf(change));
      if (seen.length === 3) await gate.promise;
    });
    await until(() => reading.bench.dispatcher.queue.pendingChanges === ROWS - 2);
    expect(seen).toEqual(tags.slice(0, 3));
    gate.resolve();
    await until(() => reading.isSettled);
    expect(seen).toEqual(tags);
  });

  it('is in the table as it came where it is parked, whether it was read alone or in a queue', async () => {
    const gate = new Deferred();
    let calls = 0;
    const store = new ImageStore();
    const { reading, tags } = await read(
      async () => {
        if (++calls === 3) await gate.promise;
        throw new Error('broken');
      },
      { onExhausted: 'park', retry: { attempts: 1 } },
      store,
    );
    await until(() => reading.bench.dispatcher.queue.pendingChanges === ROWS - 2);
    gate.resolve();
    await until(() => reading.isSettled);
    expect(calls).toBe(ROWS);
    expect(store.images).toEqual(tags);
  });

  it('waits for the turn of the event loop that slow synchronous handlers owe it', async () => {
    let most = 0;
    const seen: string[] = [];
    // All of it within the tenth of a second that a chunk may wait, on a slow machine too.
    const now = Date.now();
    jest.spyOn(Date, 'now').mockReturnValue(now);
    const { reading, tags } = await read((change, pendingChanges) => {
      seen.push(tagOf(change));
      const end = performance.now() + 0.5;
      while (performance.now() < end);
      most = Math.max(most, pendingChanges());
    });
    await until(() => reading.isSettled);
    expect(seen).toEqual(tags);
    expect(most).toBe(1);
  });
});
