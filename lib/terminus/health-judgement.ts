import type { PgListenerHealth, PgListenerState, PgListenerStats } from '../interfaces/status.interface.js';

/** Above any of them an app that is up is degraded. */
export interface HealthThresholds {
  /** Age of the oldest change that is not finished. */
  readonly lagSeconds?: number;
  /** Log between the confirmed position and the end of the log; the server is asked. */
  readonly lagBytes?: number;
  /** Log that the server keeps for the slot; the server is asked. */
  readonly retainedBytes?: number;
  /** Parked changes. */
  readonly parked?: number;
  /** The other way round: fewer seconds than that until the server may give the slot up; the server is asked. */
  readonly secondsUntilInvalidated?: number;
}

export interface HealthCheckOptions {
  /** Name of the app. @default 'default' */
  readonly app?: string;
  /** Absent: it is up or down. */
  readonly degradedAbove?: HealthThresholds;
}

/** What the indicator tells besides the status. Plain data, without a value of a row. */
export interface HealthReport {
  readonly app: string;
  readonly state: PgListenerState;
  readonly lagSeconds: number | null;
  /** Null, as those behind it, where the server was not asked or did not answer. */
  readonly lagBytes: number | null;
  readonly retainedBytes: number | null;
  readonly secondsUntilInvalidated: number | null;
  readonly parked: number;
  readonly message?: string;
  /** The server was asked, and has no answer. */
  readonly slotProblem?: string;
  readonly [more: string]: unknown;
}

export interface Judgement {
  readonly status: 'up' | 'degraded' | 'down';
  readonly report: HealthReport;
}

/** Whether the server has to be asked. */
export function asksServer({ lagBytes, retainedBytes, secondsUntilInvalidated }: HealthThresholds): boolean {
  return lagBytes !== undefined || retainedBytes !== undefined || secondsUntilInvalidated !== undefined;
}

export function judge(health: PgListenerHealth, stats: PgListenerStats, thresholds: HealthThresholds): Judgement {
  const { slot, slotProblem } = stats;
  const facts = {
    app: health.app,
    state: health.state,
    lagSeconds: stats.lagSeconds,
    lagBytes: slot?.lagBytes ?? null,
    retainedBytes: slot?.retainedBytes ?? null,
    // JSON has no Infinity.
    secondsUntilInvalidated: finite(slot?.secondsUntilInvalidated ?? null),
    parked: stats.parked,
  };
  const asked = asksServer(thresholds) && slotProblem !== null ? { slotProblem } : {};
  if (health.status === 'down') {
    return { status: 'down', report: { ...facts, ...asked, message: health.reason ?? `the app is ${health.state}` } };
  }
  const reasons = reasonsOf(facts, thresholds);
  if ('slotProblem' in asked) reasons.push('the slot could not be measured');
  if (reasons.length === 0) return { status: 'up', report: facts };
  return { status: 'degraded', report: { ...facts, ...asked, message: reasons.join('; ') } };
}

function reasonsOf(facts: HealthReport, thresholds: HealthThresholds): string[] {
  const reasons: string[] = [];
  const above = (what: string, value: number | null, most: number | undefined, unit: string): void => {
    if (value === null || most === undefined || value <= most) return;
    reasons.push(`${what} is ${Math.round(value)}${unit}, above ${most}${unit}`);
  };
  above('the lag', facts.lagSeconds, thresholds.lagSeconds, ' s');
  above('the lag', facts.lagBytes, thresholds.lagBytes, ' bytes');
  above('the log kept for the slot', facts.retainedBytes, thresholds.retainedBytes, ' bytes');
  above('the number of parked changes', facts.parked, thresholds.parked, '');
  const { secondsUntilInvalidated: left } = facts;
  const least = thresholds.secondsUntilInvalidated;
  if (left !== null && least !== undefined && left < least) {
    reasons.push(`the slot may be invalidated in ${Math.round(left)} s, below ${least} s`);
  }
  return reasons;
}

function finite(value: number | null): number | null {
  return value !== null && Number.isFinite(value) ? value : null;
}
