import { afterEach, describe, expect, it } from '@jest/globals';
import type { ReplicationListener, ReplicationServer } from '#lib/replication/replication.server.js';
import { turns, until } from '../waiting.js';
import { begin, frame, xLogData } from '../../support/pgoutput-encoder.js';
import { PublisherBench } from './fake-sink.js';
import { streamTo as open, type FakeSocket } from './fake-socket.js';

let server: ReplicationServer | undefined;
afterEach(() => server?.destroy());

async function streamTo(
  listener: Partial<ReplicationListener>,
  options = { walSenderTimeoutMs: 60_000 },
): Promise<FakeSocket> {
  const stream = await open(listener, options);
  server = stream.server;
  return stream.socket;
}

describe('the lag of a stream', () => {
  it('is the time between the commit and the sending of the last change, both by the clock of the server', async () => {
    const { publisher } = new PublisherBench().connect();
    const lags: number[] = [];
    const socket = await streamTo({
      data: (...message) => {
        publisher.data(...message);
        return false;
      },
      readEnded: (lastSendTimeMs) => {
        const lag = lastSendTimeMs - publisher.lastCommitTimeMs;
        lags.push(lag);
        return lag;
      },
    });

    const committed = new Date('2026-03-04T05:06:07.000Z');
    const sent = new Date('2026-03-04T05:06:09.500Z');
    socket.push(xLogData(begin(0x200n, 700, committed), 0x100n, sent));
    await until(() => lags.length === 2);
    expect(lags[1]).toBe(2_500);
  });
});

describe('what follows something that is in hand', () => {
  const message = (id: number): Buffer => xLogData(begin(BigInt(id) * 0x100n, id), BigInt(id) * 0x100n);
  const chunk = Buffer.concat([1, 2, 3, 4].map(message));

  /** A listener that says after some messages that it is busy, and what it has been given. */
  async function busyAt(...busy: number[]) {
    const seen: number[] = [];
    let reads = 0;
    const socket = await streamTo({
      data: (buffer, start) => {
        // Begin: type, LSN, time, xid.
        seen.push(buffer.readUInt32BE(start + 17));
        return busy.includes(seen.length);
      },
      readEnded: () => {
        reads++;
        return 0;
      },
    });
    const before = reads;
    return { socket, seen, reads: () => reads - before };
  }

  it('is read where it is done within the microtasks, and not before', async () => {
    const { socket, seen, reads } = await busyAt(2, 3);
    const looks: number[][] = [];
    const promise = new Promise<void>((resolve) => {
      socket.on('data', () => {
        looks.push([...seen]);
        queueMicrotask(() => {
          server!.goOn();
          looks.push([...seen]);
          queueMicrotask(() => {
            server!.goOn();
            looks.push([...seen]);
            resolve();
          });
        });
      });
    });
    socket.push(chunk);
    await promise;
    expect(looks).toEqual([
      [1, 2],
      [1, 2, 3],
      [1, 2, 3, 4],
    ]);
    expect(reads()).toBe(1);
  });

  it('is read when the event loop turns, where it takes longer; to the end, whatever is busy', async () => {
    const { socket, seen, reads } = await busyAt(1, 2, 3);
    socket.push(chunk);
    await until(() => seen.length > 0);
    await until(() => reads() === 1);
    expect(seen).toEqual([1, 2, 3, 4]);
  });

  it('is not waited for again before what takes longer is done', async () => {
    const { socket, seen } = await busyAt(1, 5, 9);
    socket.push(chunk);
    await until(() => seen.length === 4);
    let atOnce = 0;
    socket.on('data', () => (atOnce = seen.length));
    socket.push(chunk);
    await until(() => atOnce === 8);
    server!.goOn();
    socket.push(chunk);
    await until(() => atOnce === 9);
    await until(() => seen.length === 12);
  });

  it('stays in the socket where it is another chunk', async () => {
    const { socket, seen, reads } = await busyAt(1);
    const looks: number[][] = [];
    socket.on('data', () => looks.push([...seen]));
    socket.push(chunk);
    socket.push(Buffer.concat([5, 6].map(message)));
    await until(() => looks.length === 1);
    await Promise.resolve();
    expect(looks).toEqual([[1]]);
    server!.goOn();
    await until(() => reads() === 2);
    expect(seen).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('stays there though the queue has room again', async () => {
    const { socket, seen, reads } = await busyAt(1);
    socket.push(chunk);
    await until(() => seen.length === 1);
    server!.pause();
    server!.resume();
    expect(socket.isPaused()).toBe(true);
    await until(() => reads() === 1);
    expect(socket.isPaused()).toBe(false);
  });

  it('is not taken for silence of the server, however long the handlers of one chunk take', async () => {
    let id = 0;
    const socket = await streamTo(
      {
        data: () => {
          const end = performance.now() + 4;
          while (performance.now() < end);
          id++;
          setImmediate(() => server!.goOn());
          return true;
        },
      },
      { walSenderTimeoutMs: 20 },
    );
    const rows = 40;
    socket.push(Buffer.concat(Array.from({ length: rows }, (_, index) => message(index + 1))));
    const ended = await Promise.race([
      server!.closed.then(() => 'closed'),
      until(() => id === rows).then(() => 'read'),
    ]);
    expect(ended).toBe('read');
  });

  it('is not read any more where the stream has ended', async () => {
    const { socket, seen } = await busyAt(1);
    socket.push(chunk);
    await until(() => seen.length === 1);
    server!.destroy();
    server!.goOn();
    await new Promise((resolve) => setImmediate(resolve));
    expect(seen).toEqual([1]);
  });
});

describe('the position', () => {
  it('is not told for each message, however fast it moves', async () => {
    const READS = 200;
    let read = 0;
    const socket = await streamTo({
      readEnded: () => {
        read++;
        return 0;
      },
      confirmable: () => BigInt(read),
    });
    const before = socket.written.length;
    const began = Date.now();
    for (let each = 1; each <= READS; each++) {
      socket.push(xLogData(begin(BigInt(each) * 0x100n, 700), BigInt(each) * 0x100n));
      await until(() => read === each + 1);
    }
    const seconds = (Date.now() - began) / 1_000;
    expect(socket.written.length - before).toBeLessThanOrEqual(1 + seconds);
    server!.confirmNow();
    expect(socket.written.at(-1)!.readBigUInt64BE(6)).toBe(BigInt(READS + 1));
  });
});

describe('a stream on hold', () => {
  const message = (id: number): Buffer => xLogData(begin(BigInt(id) * 0x100n, id), BigInt(id) * 0x100n);

  /** It goes on hold with the second message. */
  async function held() {
    const seen: number[] = [];
    const socket = await streamTo({
      data: (buffer, start) => {
        if (seen.push(buffer.readUInt32BE(start + 17)) === 2) server!.hold();
        return false;
      },
    });
    socket.push(Buffer.concat([1, 2, 3].map(message)));
    socket.push(message(4));
    await until(() => seen.length >= 2);
    return { socket, seen };
  }

  it('reads nothing more, whatever goes on, until it is released', async () => {
    const { seen } = await held();
    for (const goOn of [() => server!.goOn(), () => server!.resume(), () => server!.confirmNow()]) {
      goOn();
      await turns(5);
      expect(seen).toEqual([1, 2]);
    }
    server!.release();
    await until(() => seen.length === 4);
    expect(seen).toEqual([1, 2, 3, 4]);
  });

  it('ends in good order all the same, without what waits', async () => {
    const { socket, seen } = await held();
    const stopped = server!.stop();
    await turns(5);
    socket.push(frame('c', Buffer.alloc(0)));
    socket.push(null);
    await stopped;
    expect(await server!.closed).toBeNull();
    expect(seen).toEqual([1, 2]);
  });
});
