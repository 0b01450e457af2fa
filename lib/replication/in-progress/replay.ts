// Not the global ones: a user's test that has put fake timers in must not stop the stream.
import { clearImmediate, setImmediate } from 'node:timers';
import { asError } from '../../errors/as-error.js';
import { Patience } from '../patience.js';
import type { InProgressTransaction, MessageCursor, MessageTaker } from './in-progress-transaction.js';

/** So long a replay may keep the event loop before timers and sockets get a turn. */
const SLICE_MS = 10;
/** A power of two: the clock is asked once in so many messages. */
const MESSAGES_UNCHECKED = 64;

/** Who takes a transaction that has come in parts. */
export interface ReplayTarget extends MessageTaker {
  /** What comes now would be too much. */
  readonly isFull: boolean;
  /** What comes now would have to be queued. */
  readonly isBusy: boolean;
  /** Before the messages of one slice. */
  turn(): void;
  /** The bytes of the last message are about to be another's. */
  leave(): void;
  /** All of it has been taken. */
  done(): void;
  failed(error: Error): void;
}

/**
 * Hands over the messages of a transaction that has committed, as fast as they are taken.
 *
 * | state | until |
 * |---|---|
 * | running | the slice is used up, the target is busy or full, the disk has to be read, or the end |
 * | waiting for a turn, or for the disk | it comes |
 * | busy | `freed`, or patience ends (see `Patience`) |
 * | waiting for room | `goOn` |
 * | over | for good |
 */
export class Replay {
  private state: 'running' | 'turn' | 'disk' | 'busy' | 'room' | 'over' = 'running';
  private readonly cursor: MessageCursor;
  private immediate: NodeJS.Immediate | undefined;
  private readonly patience = new Patience(
    () => this.state === 'busy',
    () => this.resume(),
  );

  constructor(
    readonly transaction: InProgressTransaction,
    private readonly target: ReplayTarget,
  ) {
    this.cursor = transaction.cursor();
  }

  get isOver(): boolean {
    return this.state === 'over';
  }

  /** What fits is handed over at once. @throws what the target throws; later it is told by `failed` */
  start(): void {
    try {
      this.run();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** The target has room again. */
  goOn(): void {
    if (this.state === 'room') this.resume();
  }

  /** The target is not busy any more. */
  freed(): void {
    this.patience.gotOn();
    if (this.state === 'busy') this.resume();
  }

  close(): void {
    if (this.state === 'over') return;
    this.state = 'over';
    clearImmediate(this.immediate);
    this.patience.close();
    this.transaction.close();
  }

  private resume(): void {
    try {
      this.run();
    } catch (error) {
      this.close();
      this.target.failed(asError(error));
    }
  }

  private run(): void {
    const { cursor, target, patience } = this;
    this.state = 'running';
    target.turn();
    patience.chunk();
    const endAt = performance.now() + SLICE_MS;
    for (let count = 1; this.state === 'running'; count++) {
      if (target.isFull) this.state = 'room';
      else if (!cursor.take(target)) return this.readOn();
      // What was taken may have halted the app, and closed this: no other state comes after that.
      else if (this.isOver) return;
      else if (target.isBusy && patience.suffices()) this.state = 'busy';
      else if (count % MESSAGES_UNCHECKED === 0 && performance.now() > endAt) this.waitForTurn();
    }
  }

  private waitForTurn(): void {
    this.state = 'turn';
    this.immediate = setImmediate(() => this.resume());
  }

  private readOn(): void {
    const { cursor, target } = this;
    // The target may have closed it, with the message that it took last.
    if (this.state !== 'running') return;
    if (!cursor.isMoreOnDisk) {
      this.close();
      return target.done();
    }
    this.state = 'disk';
    target.leave();
    cursor.fill().then(
      () => {
        if (this.state === 'disk') this.resume();
      },
      (error: unknown) => {
        if (this.state !== 'disk') return;
        this.close();
        target.failed(asError(error));
      },
    );
  }
}
