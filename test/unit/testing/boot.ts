import type { Type } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import { getPgListenerToken, PgListenerModule, type PgListenerOptions } from 'nestjs-pg-listener';
import { TestPgListener } from 'nestjs-pg-listener/testing';
import { LogCollector } from '../../support/application.js';

const NOWHERE = { connection: 'postgresql://nobody@no-such-host.invalid/none', slot: 'nowhere' };

/** Testing modules of one spec, closed together. */
export class TestingModules {
  readonly logs = new LogCollector();
  private readonly open: TestingModule[] = [];

  async boot(
    providers: Type[],
    options: Partial<PgListenerOptions> = {},
    listener = new TestPgListener(),
  ): Promise<TestPgListener> {
    const module = await Test.createTestingModule({
      imports: [PgListenerModule.forRoot({ ...NOWHERE, ...options }), PgListenerModule.forFeature('orders')],
      providers,
    })
      .overrideProvider(getPgListenerToken())
      .useValue(listener)
      .setLogger(this.logs)
      .compile();
    await module.init();
    // Nest 11 rejects again at the close of what has not initialised.
    this.open.push(module);
    return listener;
  }

  async close(): Promise<void> {
    await Promise.all(this.open.splice(0).map((module) => module.close()));
  }
}
