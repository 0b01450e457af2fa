import { Duplex } from 'node:stream';
import type { Socket } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { ReplicationServer, type ReplicationListener } from '#lib/replication/replication.server.js';
import { until } from '../waiting.js';
import { begin, frame, int16, uint8, xLogData } from '../../support/pgoutput-encoder.js';
import { PublisherBench } from './fake-sink.js';

/** A socket whose other end is the spec. */
class FakeSocket extends Duplex {
  readonly remoteFamily = 'IPv4';
  readonly written: Buffer[] = [];
  override _read(): void {}
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.written.push(chunk);
    done();
  }
}

/** What takes a stream and wants nothing of it. */
const INDIFFERENT: ReplicationListener = {
  data: () => undefined,
  keepalive: () => undefined,
  notice: () => undefined,
  readStarts: () => undefined,
  readEnded: () => 0,
  confirmable: () => 0n,
  confirmLast: () => Promise.resolve(),
  shutdownSuspected: () => undefined,
};

/** A stream that has begun, and its other end. */
async function streamTo(listener: Partial<ReplicationListener>): Promise<FakeSocket> {
  const socket = new FakeSocket();
  const options = { walSenderTimeoutMs: 60_000 };
  server = new ReplicationServer(socket as unknown as Socket, { ...INDIFFERENT, ...listener }, options);
  const started = server.start('START_REPLICATION');
  socket.push(frame('W', Buffer.concat([uint8(0), int16(0)])));
  await started;
  return socket;
}

let server: ReplicationServer | undefined;
afterEach(() => server?.destroy());

describe('the lag of a stream', () => {
  it('is the time between the commit and the sending of the last change, both by the clock of the server', async () => {
    const { publisher } = new PublisherBench().connect();
    const lags: number[] = [];
    const socket = await streamTo({
      data: (...message) => publisher.data(...message),
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
