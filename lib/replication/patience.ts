// Not the global ones: a user's test that has put fake timers in must not stop the stream.
import { clearImmediate, setImmediate } from 'node:timers';

/** So long the rest of one chunk may wait for what is in hand, however it gets on: keepalives may be in it. */
const MOST_HELD_MS = 100;

/**
 * How long the rest of a chunk waits where it lies for what is in hand: as long as each turn of the event loop finds
 * something else in hand than the one before.
 *
 * | state | meaning | leaves by |
 * |---|---|---|
 * | patient | what follows may wait | a turn without `gotOn()`, a tenth of a second, `lose()` |
 * | lost | what follows is read, and queued | `gotOn()` |
 */
export class Patience {
  private isLost = false;
  private hasGotOn = false;
  private readAt = 0;
  private turn: NodeJS.Immediate | undefined;

  /** @param readRest reads what waits, if anything does */
  constructor(
    private readonly isWaiting: () => boolean,
    private readonly readRest: () => void,
  ) {}

  /** A chunk has come. */
  chunk(): void {
    this.readAt = Date.now();
  }

  /** What was in hand is done. */
  gotOn(): void {
    this.isLost = false;
    this.hasGotOn = true;
  }

  /** Something is in hand. @returns whether what follows is to wait for it */
  suffices(): boolean {
    if (this.isLost) return false;
    this.waitATurn();
    return true;
  }

  lose(): void {
    if (!this.isWaiting()) return;
    this.isLost = true;
    this.readRest();
  }

  close(): void {
    clearImmediate(this.turn);
  }

  /** One immediate for all that a turn holds: many thousands of short calls may follow each other in it. */
  private waitATurn(): void {
    if (this.turn !== undefined) return;
    this.hasGotOn = false;
    this.turn = setImmediate(() => {
      this.turn = undefined;
      const isInTime = Date.now() - this.readAt < MOST_HELD_MS;
      if (this.hasGotOn && isInTime && this.isWaiting()) this.waitATurn();
      else this.lose();
    });
  }
}
