import type { SlotStats } from '../interfaces/slot-stats.interface.js';
import type { Lsn } from '../protocol/lsn.js';

/** Measurements older than this say nothing about how fast the log grows now. */
const WINDOW_MS = 300_000;
/** Closer together, two of them say more about the clock than about the log. */
const LEAST_APART_MS = 500;
/** Who measures more often than this does not shorten the window. */
const STEP_MS = 5_000;

/** What the server says of a slot, in one moment. */
export interface SlotMeasurement {
  readonly name: string;
  /** By the server's clock, in milliseconds since 1970. */
  readonly atMs: number;
  readonly walEnd: Lsn;
  readonly restart: Lsn | null;
  readonly confirmed: Lsn | null;
  readonly isActive: boolean;
  /** `safe_wal_size`; null: no limit. */
  readonly safeBytes: number | null;
  /** Since nobody streams from it, in milliseconds since 1970; null: somebody does, or the server does not tell. */
  readonly inactiveSinceMs: number | null;
  /** `idle_replication_slot_timeout` in milliseconds; 0: none. */
  readonly idleTimeoutMs: number;
  readonly invalidated: string | null;
}

/** From measurements to how fast the log grows, and how long the slot has. Pure. */
export class SlotForecast {
  private kept: { atMs: number; walEnd: Lsn }[] = [];

  add(measurement: SlotMeasurement): SlotStats {
    this.keep(measurement);
    const { name, atMs, isActive, walEnd, restart, confirmed, safeBytes, invalidated } = measurement;
    const rate = this.bytesPerSecond;
    return {
      name,
      measuredAt: new Date(atMs),
      isActive,
      lagBytes: confirmed === null ? null : between(confirmed, walEnd),
      retainedBytes: restart === null || invalidated !== null ? null : between(restart, walEnd),
      safeBytes,
      walBytesPerSecond: rate,
      secondsUntilInvalidated: invalidated === null ? secondsLeft(measurement, rate) : 0,
      invalidated,
    };
  }

  private keep({ atMs, walEnd }: SlotMeasurement): void {
    const last = this.kept[this.kept.length - 1];
    // Another server, or one that was put back.
    if (last !== undefined && (walEnd < last.walEnd || atMs < last.atMs)) this.kept = [];
    const { kept } = this;
    if (kept.length > 1 && atMs - kept[kept.length - 2]!.atMs < STEP_MS) kept.pop();
    kept.push({ atMs, walEnd });
    // One that lies before the window is kept: with the next one it tells of all that lies in it.
    while (kept.length > 2 && kept[1]!.atMs < atMs - WINDOW_MS) kept.shift();
  }

  private get bytesPerSecond(): number | null {
    const [first, last] = [this.kept[0]!, this.kept[this.kept.length - 1]!];
    const apartMs = last.atMs - first.atMs;
    return apartMs < LEAST_APART_MS ? null : (between(first.walEnd, last.walEnd) * 1000) / apartMs;
  }
}

/** The sooner of the two; null where one of them is not known yet. */
function secondsLeft(measurement: SlotMeasurement, rate: number | null): number | null {
  const idle = secondsOfIdling(measurement);
  const { safeBytes } = measurement;
  if (safeBytes === null) return idle;
  if (safeBytes <= 0) return 0;
  if (rate === null) return null;
  return Math.min(idle, rate === 0 ? Infinity : safeBytes / rate);
}

/** A slot that somebody streams from never idles. */
function secondsOfIdling({ isActive, idleTimeoutMs, inactiveSinceMs, atMs }: SlotMeasurement): number {
  if (isActive || idleTimeoutMs === 0 || inactiveSinceMs === null) return Infinity;
  return Math.max(0, inactiveSinceMs + idleTimeoutMs - atMs) / 1000;
}

function between(from: Lsn, to: Lsn): number {
  return to > from ? Number(to - from) : 0;
}
