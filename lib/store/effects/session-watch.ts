// Not the global ones: a user's test that has put fake timers in must not stop the stream.
import { clearInterval, setInterval } from 'node:timers';
import type { EffectsSession, EffectsSessions } from './effects-sessions.js';

const LOOK_MS = 1_000;
/** A statement that has no answer for so long is looked for on the server. */
const DARK_MS = 10_000;

export interface SessionWatchOptions {
  /** What sessions do, as the server says it. */
  readonly states: (processIds: readonly number[]) => Promise<{ pid: string; state: string | null }[]>;
  /** Ends transactions of those who streamed before. */
  readonly endEarlier: () => Promise<void>;
}

/** Since when a session that waits for an answer has had nothing of it. */
interface Silence {
  readonly bytesRead: number;
  readonly since: number;
  isSuspect: boolean;
}

/**
 * Two things that a session cannot tell of itself. A claim that waits, waits for somebody who has claimed the same place:
 * a process that streamed before, frozen, perhaps. And a statement without an answer is either being worked on, or the
 * path has gone dark, and no answer will ever come.
 *
 * | a statement is under way for | and the server says | so |
 * |---|---|---|
 * | a second, a claim | | transactions of earlier streams are ended |
 * | ten seconds | active | it is waited for |
 * | ten seconds | anything else, twice in a row | the session is given up: its call is interrupted |
 */
export class SessionWatch {
  private readonly claims = new Map<EffectsSession, number>();
  private readonly silent = new Map<EffectsSession, Silence>();
  private timer: NodeJS.Timeout | undefined;
  private isLooking = false;

  constructor(
    private readonly sessions: EffectsSessions,
    private readonly options: SessionWatchOptions,
  ) {}

  claiming(session: EffectsSession): void {
    this.claims.set(session, Date.now());
    this.timer ??= setInterval(() => void this.look(), LOOK_MS).unref();
  }

  claimed(session: EffectsSession): void {
    this.claims.delete(session);
  }

  close(): void {
    clearInterval(this.timer);
    this.timer = undefined;
    this.claims.clear();
    this.silent.clear();
  }

  private async look(): Promise<void> {
    if (this.isLooking) return;
    if (this.sessions.lent.size === 0) return this.close();
    this.isLooking = true;
    try {
      const now = Date.now();
      if ([...this.claims.values()].some((since) => now - since >= LOOK_MS)) await this.options.endEarlier();
      await this.lookForDark(now);
    } catch {
      // The server cannot be asked now; the next time, perhaps.
    } finally {
      this.isLooking = false;
    }
  }

  private async lookForDark(now: number): Promise<void> {
    const waiting = this.silentSessions(now);
    if (waiting.length === 0) return;
    const states = await this.options.states(waiting.map(({ processId }) => processId));
    const active = new Set(states.filter(({ state }) => state === 'active').map(({ pid }) => Number(pid)));
    for (const session of waiting) {
      const silence = this.silent.get(session);
      // Something has come meanwhile.
      if (silence === undefined || session.bytesRead !== silence.bytesRead) continue;
      if (active.has(session.processId)) silence.isSuspect = false;
      else if (!silence.isSuspect) silence.isSuspect = true;
      else session.destroy(new Error('the server has no statement of it under way: the path to it has gone dark'));
    }
  }

  private silentSessions(now: number): EffectsSession[] {
    const { lent } = this.sessions;
    for (const session of this.silent.keys()) if (!lent.has(session)) this.silent.delete(session);
    const found: EffectsSession[] = [];
    for (const session of lent) {
      const { bytesRead, isWaiting } = session;
      const silence = this.silent.get(session);
      if (!isWaiting) this.silent.delete(session);
      else if (silence?.bytesRead !== bytesRead) this.silent.set(session, { bytesRead, since: now, isSuspect: false });
      else if (now - silence.since >= DARK_MS) found.push(session);
    }
    return found;
  }
}
