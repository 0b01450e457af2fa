import { afterEach, describe, expect, it, jest } from '@jest/globals';
import type { RowChange } from '#lib/changes/change.js';
import type { ParkedKeys, ParkingRequest } from '#lib/interfaces/parked-store.interface.js';
import type { ReplicationServer } from '#lib/replication/replication.server.js';
import { MemoryParkedStore } from '#lib/testing/memory-parked.store.js';
import { begin, commit, insert, relation, xLogData } from '../../support/pgoutput-encoder.js';
import { streamTo } from '../replication/fake-socket.js';
import { until } from '../waiting.js';
import { Deferred, type HandlerSpec } from './dispatcher-bench.js';
import { StreamBench, endOf, tagOf } from './stream-bench.js';

const ROWS = 100;

let server: ReplicationServer | undefined;
afterEach(() => {
  server?.destroy();
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
  const bench: StreamBench = new StreamBench(
    [{ run: (change) => handler(change, () => bench.dispatcher.queue.pendingChanges), ...more }],
    { store },
  );
  const { publisher } = bench.connection;
  const stream = await streamTo({
    data: (...message) => {
      publisher.data(...message);
      return bench.dispatcher.isBusy;
    },
    readStarts: () => bench.dispatcher.turn(),
  });
  server = stream.server;
  bench.dispatcher.onFree = () => server!.goOn();
  const lsn = 0x10000n;
  const tags = Array.from({ length: ROWS }, (_, index) => `row ${index}`);
  stream.socket.push(
    Buffer.concat([
      xLogData(
        relation({
          id: 1,
          table: 'orders',
          columns: [
            { name: 'id', isKey: true },
            { name: 'tag', typeOid: 25 },
          ],
        }),
        0n,
      ),
      xLogData(begin(lsn), lsn - 0x1000n),
      ...tags.map((tag, index) => xLogData(insert(1, [String(index), tag]), lsn - 0x1000n + BigInt(index) * 8n)),
      xLogData(commit(lsn, endOf(lsn)), lsn),
    ]),
  );
  return { bench, tags, tracker: publisher.tracker, end: endOf(lsn) };
}

describe('what one read has brought', () => {
  it('is read one by one where an asynchronous handler waits for nothing: nothing is queued', async () => {
    const seen: string[] = [];
    const pending = new Set<number>();
    const { tags, tracker, end } = await read(async (change, pendingChanges) => {
      seen.push(tagOf(change));
      pending.add(pendingChanges());
    });
    await until(() => tracker.confirmable === end);
    expect(seen).toEqual(tags);
    expect([...pending]).toEqual([1]);
  });

  it('is all read where a handler takes longer than the microtasks: so that it is counted, and keepalives are heard', async () => {
    const gate = new Deferred();
    const seen: string[] = [];
    const { bench, tags, tracker, end } = await read(async (change) => {
      seen.push(tagOf(change));
      if (seen.length === 3) await gate.promise;
    });
    await until(() => bench.dispatcher.queue.pendingChanges === ROWS - 2);
    expect(seen).toEqual(tags.slice(0, 3));
    gate.resolve();
    await until(() => tracker.confirmable === end);
    expect(seen).toEqual(tags);
  });

  it('is in the table as it came where it is parked, whether it was read alone or in a queue', async () => {
    const gate = new Deferred();
    let calls = 0;
    const store = new ImageStore();
    const { bench, tags, tracker, end } = await read(
      async () => {
        if (++calls === 3) await gate.promise;
        throw new Error('broken');
      },
      { onExhausted: 'park', retry: { attempts: 1 } },
      store,
    );
    await until(() => bench.dispatcher.queue.pendingChanges === ROWS - 2);
    gate.resolve();
    await until(() => tracker.confirmable === end);
    expect(calls).toBe(ROWS);
    expect(store.images).toEqual(tags);
  });

  it('waits for the turn of the event loop that slow synchronous handlers owe it', async () => {
    let most = 0;
    const seen: string[] = [];
    // All of it within the tenth of a second that a chunk may wait, on a slow machine too.
    const now = Date.now();
    jest.spyOn(Date, 'now').mockReturnValue(now);
    const { tags, tracker, end } = await read((change, pendingChanges) => {
      seen.push(tagOf(change));
      const end = performance.now() + 0.5;
      while (performance.now() < end);
      most = Math.max(most, pendingChanges());
    });
    await until(() => tracker.confirmable === end);
    expect(seen).toEqual(tags);
    expect(most).toBe(1);
  });
});
