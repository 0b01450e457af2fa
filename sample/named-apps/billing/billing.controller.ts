import { Controller, Post } from '@nestjs/common';
import { InjectPgListener, type PgListener, type PgListenerHealth } from 'nestjs-pg-listener';

/** One app may rest while the other runs. What billing commits meanwhile arrives when its app starts again. */
@Controller('billing')
export class BillingController {
  constructor(@InjectPgListener('billing') private readonly listener: PgListener) {}

  @Post('stop')
  async stop(): Promise<PgListenerHealth> {
    await this.listener.stop();
    return this.listener.health();
  }

  @Post('start')
  async start(): Promise<PgListenerHealth> {
    await this.listener.start();
    return this.listener.health();
  }
}
