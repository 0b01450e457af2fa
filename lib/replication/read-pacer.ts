import type { Socket } from 'node:net';

/** A read of this size has filled most of what Node asks the kernel for (64 KiB): no need to wait for more. */
const FULL_READ = 60 * 1024;
/** Milliseconds between the commit and the sending of a change, both by the server's clock, that mean "behind". */
const BEHIND_MS = 5;
/** A pause that brings less than this is not worth it: the socket's buffer is small, or the stream has caught up. */
const WORTH = 8 * 1024;

/**
 * When to read on. The walsender sends once for each change; a reader that wakes for each send slows the sender down,
 * one that sleeps a millisecond while it is behind lets the kernel collect, and both sides do a fraction of the work.
 * Caught up, it never waits, so latency stays what it is.
 *
 * Only plain TCP is paced: over TLS each record is an event of its own, and a Unix socket's buffer is small.
 */
export class ReadPacer {
  private timer: NodeJS.Timeout | undefined;
  private readonly enabled: boolean;
  /** Reads to let pass before the next try, after a pause that brought little. */
  private rest = 0;
  private paused = false;

  constructor(
    private readonly socket: Socket,
    private readonly resume: () => void,
  ) {
    this.enabled = socket.remoteFamily !== undefined && !('encrypted' in socket);
  }

  /** After each read. `lagMs`: send time minus commit time of the last change in it. */
  afterRead(bytes: number, lagMs: number): void {
    if (!this.enabled || lagMs < BEHIND_MS) return;
    if (this.paused) {
      this.paused = false;
      if (bytes < WORTH) this.rest = 32;
    }
    if (this.rest > 0) {
      this.rest--;
      return;
    }
    if (bytes >= FULL_READ) return;
    this.paused = true;
    this.socket.pause();
    this.timer = setTimeout(this.resume, 1);
  }

  close(): void {
    clearTimeout(this.timer);
  }
}
