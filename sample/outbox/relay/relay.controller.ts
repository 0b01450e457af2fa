import { Controller, Get, HttpCode, Post, ServiceUnavailableException } from '@nestjs/common';
import { PgListener, type ParkedChange, type PgListenerHealth } from 'nestjs-pg-listener';

/** What whoever runs the relay wants to know of it. */
@Controller()
export class RelayController {
  constructor(private readonly listener: PgListener) {}

  /** 503 where an event holds up all that come after it: it names the handler. */
  @Get('health')
  health(): PgListenerHealth {
    const health = this.listener.health();
    if (health.status === 'down') throw new ServiceUnavailableException(health);
    return health;
  }

  /** Events that wait for a person. */
  @Get('parked')
  parked(): Promise<ParkedChange[]> {
    return this.listener.parked.list();
  }

  /** One more try for each of them. */
  @Post('parked/retry')
  @HttpCode(200)
  retry(): Promise<unknown> {
    return this.listener.parked.retry();
  }
}
