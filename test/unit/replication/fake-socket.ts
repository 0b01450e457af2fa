import { Duplex } from 'node:stream';
import type { Socket } from 'node:net';
import { ReplicationServer, type ReplicationListener } from '#lib/replication/replication.server.js';
import { frame, int16, uint8 } from '../../support/pgoutput-encoder.js';

/** A socket whose other end is the spec. */
export class FakeSocket extends Duplex {
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
  data: () => false,
  keepalive: () => undefined,
  notice: () => undefined,
  readStarts: () => undefined,
  readEnded: () => 0,
  confirmable: () => 0n,
  confirmLast: () => Promise.resolve(),
  shutdownSuspected: () => undefined,
};

/** A stream that has begun, and its other end. */
export async function streamTo(
  listener: Partial<ReplicationListener>,
  options = { walSenderTimeoutMs: 60_000 },
): Promise<{ socket: FakeSocket; server: ReplicationServer }> {
  const socket = new FakeSocket();
  const server = new ReplicationServer(socket as unknown as Socket, { ...INDIFFERENT, ...listener }, options);
  const started = server.start('START_REPLICATION');
  socket.push(frame('W', Buffer.concat([uint8(0), int16(0)])));
  await started;
  return { socket, server };
}
