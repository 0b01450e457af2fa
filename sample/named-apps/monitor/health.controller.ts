import { Controller, Get, ServiceUnavailableException } from '@nestjs/common';
import { PgListenerRegistry, type PgListenerHealth } from 'nestjs-pg-listener';

@Controller('health')
export class HealthController {
  constructor(private readonly listeners: PgListenerRegistry) {}

  /** Every app of this application, by name. 503 where one is down. */
  @Get()
  health(): Record<string, PgListenerHealth> {
    const apps = this.listeners.names().map((name) => [name, this.listeners.get(name).health()] as const);
    const report = Object.fromEntries(apps);
    if (apps.some(([, { status }]) => status === 'down')) throw new ServiceUnavailableException(report);
    return report;
  }
}
