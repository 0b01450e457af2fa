import type { HealthIndicatorResult, HealthIndicatorService, HealthIndicatorStatus } from '@nestjs/terminus';
import { DEFAULT_APP_NAME } from '../pg-listener.constants.js';
import type { PgListenerRegistry } from '../pg-listener.registry.js';
import { asksServer, judge, type HealthCheckOptions, type HealthReport } from './health-judgement.js';

/** A session of `HealthIndicatorService`. Before Terminus 12 it knows no `degraded`. */
interface Session {
  up(report: object): unknown;
  down(report: object): unknown;
  degraded?(report: object): unknown;
}

/**
 * How an app is, for a health check of Terminus.
 *
 * - `down`: it neither streams nor stands by, or a handler keeps failing and holds the position; the check fails.
 * - `degraded`: it is up, and behind by more than a threshold. With Terminus 11, which knows no such status: `up`, and
 *   `degraded: true`.
 * - `up`: everything else, standing by and an app that is not `enabled` included.
 *
 * @example
 * health.check([() => listener.check('orders', { degradedAbove: { lagSeconds: 30 } })])
 *
 * @publicApi
 */
export class PgListenerHealthIndicator {
  /** @internal */
  constructor(
    private readonly listeners: PgListenerRegistry,
    private readonly indicators: () => HealthIndicatorService,
  ) {}

  /**
   * @param key the name in the report
   * @throws UnknownAppError where there is no such app
   */
  async check<const Key extends string>(
    key: Key,
    { app = DEFAULT_APP_NAME, degradedAbove = {} }: HealthCheckOptions = {},
  ): Promise<HealthIndicatorResult<Key, HealthIndicatorStatus, HealthReport>> {
    const listener = this.listeners.get(app);
    const stats = asksServer(degradedAbove) ? await listener.measure() : listener.stats();
    const { status, report } = judge(listener.health(), stats, degradedAbove);
    const session = this.indicators().check(key) as unknown as Session;
    const result =
      status !== 'degraded'
        ? session[status](report)
        : (session.degraded?.(report) ?? session.up({ ...report, degraded: true }));
    return result as HealthIndicatorResult<Key, HealthIndicatorStatus, HealthReport>;
  }
}
