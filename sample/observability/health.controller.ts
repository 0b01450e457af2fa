import { Controller, Get } from '@nestjs/common';
import { HealthCheck, HealthCheckService } from '@nestjs/terminus';
import { PgListenerHealthIndicator } from 'nestjs-pg-listener/terminus';

@Controller('health')
export class HealthController {
  constructor(
    private readonly health: HealthCheckService,
    private readonly listener: PgListenerHealthIndicator,
  ) {}

  /** 503 where the app is down. A lag is no reason to restart anything: the check tells of it, and passes. */
  @Get()
  @HealthCheck()
  check() {
    return this.health.check([
      () =>
        this.listener.check('orders', {
          degradedAbove: { lagSeconds: 1, lagBytes: 64_000_000, parked: 0, secondsUntilInvalidated: 3_600 },
        }),
    ]);
  }
}
