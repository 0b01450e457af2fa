import type { Socket } from 'node:net';

/** A read of this size has filled most of what Node asks the kernel for (64 KiB): no need to wait for more. */
const FULL_READ = 60 * 1024;
/** Milliseconds between the commit and the sending of a change, both by the server's clock, that mean "behind". */
const BEHIND_MS = 5;
/** Chances to let pass before the next pause, after one that brought little. */
const REST = 32;

/**
 * A pause that brings fewer bytes than this is not worth it. Over TCP the first chunk after a pause is what came before
 * the socket stopped reading (see `ReadPacer`), and says nothing.
 */
const WORTH = { tcp: 0, tls: 1024, unix: 512 } as const;

/** Milliseconds of a pause; a Unix socket's is a turn of the event loop. */
const PAUSE_MS = { tcp: 1, tls: 5, unix: 0 } as const;

/**
 * When to read on. The walsender sends once for each change; a reader that wakes for each send slows the sender down,
 * one that waits a little while it is behind lets the kernel collect, and both sides do a fraction of the work. Caught up,
 * it never waits, so latency stays what it is.
 *
 * - TCP: a millisecond after each chunk. A paused socket of Node's goes on reading until it holds its high-water mark; these
 *   chunks are small, and a millisecond for each makes one long pause of some five. That is what is wanted: acknowledged
 *   in small pieces, the server's congestion window stays small, what it sends meanwhile is joined in its own buffer, and
 *   its kernel does a tenth of the work (measured: decision 0015).
 * - TLS: each record is an event of its own, so a pause is for all that the event loop's turn has brought: five milliseconds.
 * - A Unix socket's buffer holds some 200 small messages and would be full before: a turn of the event loop.
 */
export class ReadPacer {
  private readonly transport: 'tcp' | 'tls' | 'unix';
  private timer: NodeJS.Timeout | undefined;
  private turn: NodeJS.Immediate | undefined;
  /** Bytes since the last chance to pause. */
  private brought = 0;
  private isAfterPause = false;
  private rest = 0;

  constructor(
    private readonly socket: Socket,
    private readonly resume: () => void,
  ) {
    this.transport = 'encrypted' in socket ? 'tls' : socket.remoteFamily === undefined ? 'unix' : 'tcp';
  }

  /**
   * After each read. `lagMs`: send time minus commit time of the last change in it.
   *
   * @returns whether it has paused the socket
   */
  afterRead(bytes: number, lagMs: number): boolean {
    this.brought += bytes;
    if (this.turn !== undefined) return false;
    if (lagMs < BEHIND_MS) this.brought = 0;
    else if (this.transport === 'tls') this.turn = setImmediate(() => this.afterTurn());
    else if (this.isWorthIt()) {
      this.pause();
      return true;
    }
    return false;
  }

  close(): void {
    clearTimeout(this.timer);
    clearImmediate(this.turn);
    this.turn = undefined;
  }

  private afterTurn(): void {
    this.turn = undefined;
    if (this.isWorthIt()) this.pause();
  }

  private isWorthIt(): boolean {
    const { brought } = this;
    this.brought = 0;
    if (this.isAfterPause) {
      this.isAfterPause = false;
      if (brought < WORTH[this.transport]) this.rest = REST;
    }
    if (this.rest === 0) return brought < FULL_READ;
    this.rest--;
    return false;
  }

  private pause(): void {
    this.isAfterPause = true;
    this.socket.pause();
    const pauseMs = PAUSE_MS[this.transport];
    clearTimeout(this.timer);
    if (pauseMs > 0) this.timer = setTimeout(this.resume, pauseMs);
    else {
      this.turn = setImmediate(() => {
        this.turn = undefined;
        this.resume();
      });
    }
  }
}
