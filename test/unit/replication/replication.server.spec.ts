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
  override _read(): void {}
  override _write(_chunk: Buffer, _encoding: string, done: () => void): void {
    done();
  }
}

let server: ReplicationServer | undefined;
afterEach(() => server?.destroy());

describe('the lag of a stream', () => {
  it('is the time between the commit and the sending of the last change, both by the clock of the server', async () => {
    const { publisher } = new PublisherBench().connect();
    const lags: number[] = [];
    const listener: ReplicationListener = {
      data: (...message) => publisher.data(...message),
      keepalive: () => undefined,
      notice: () => undefined,
      readStarts: () => undefined,
      readEnded: (lastSendTimeMs) => {
        const lag = lastSendTimeMs - publisher.lastCommitTimeMs;
        lags.push(lag);
        return lag;
      },
      confirmable: () => 0n,
      shutdownSuspected: () => undefined,
    };
    const socket = new FakeSocket();
    server = new ReplicationServer(socket as unknown as Socket, listener, { walSenderTimeoutMs: 60_000 });
    const started = server.start('START_REPLICATION');
    socket.push(frame('W', Buffer.concat([uint8(0), int16(0)])));
    await started;

    const committed = new Date('2026-03-04T05:06:07.000Z');
    const sent = new Date('2026-03-04T05:06:09.500Z');
    socket.push(xLogData(begin(0x200n, 700, committed), 0x100n, sent));
    await until(() => lags.length === 2);
    expect(lags[1]).toBe(2_500);
  });
});
