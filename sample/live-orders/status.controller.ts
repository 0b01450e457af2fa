import { Controller, Get, ServiceUnavailableException } from '@nestjs/common';
import { PgListener, type PgListenerHealth, type PgListenerStats } from 'nestjs-pg-listener';
import { Database } from './database.js';

@Controller()
export class StatusController {
  constructor(
    private readonly listener: PgListener,
    private readonly database: Database,
  ) {}

  /** 200 or 503, so that a load balancer need not read it. */
  @Get('health')
  health(): PgListenerHealth & { stats: PgListenerStats } {
    const report = { ...this.listener.health(), stats: this.listener.stats() };
    if (report.status === 'down') throw new ServiceUnavailableException(report);
    return report;
  }

  /** For the page, which shows how to change a row without it. */
  @Get('database')
  outside(): { psql: string } {
    return { psql: this.database.psql };
  }
}
