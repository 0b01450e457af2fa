import type { Provider, Type } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import { getPgListenerToken, PgListenerModule, type PgListenerOptions } from 'nestjs-pg-listener';
import { TestPgListener } from 'nestjs-pg-listener/testing';
import { LogCollector } from '../../support/application.js';

export interface EnhancedApplication {
  readonly listener: TestPgListener;
  readonly module: TestingModule;
  readonly logs: LogCollector;
}

const NOWHERE = { connection: 'postgresql://nobody@no-such-host.invalid/none', slot: 'nowhere' };

/** Applications of a spec, without a database; closed by `close()`. */
export class EnhancedApplications {
  private readonly opened: TestingModule[] = [];

  async boot(
    providers: Provider[],
    {
      controllers = [],
      modules = [],
      before,
      ...options
    }: Partial<PgListenerOptions> & {
      controllers?: Type[];
      modules?: Type[];
      before?: (module: TestingModule) => void;
    } = {},
  ): Promise<EnhancedApplication> {
    const listener = new TestPgListener();
    const logs = new LogCollector();
    const module = await Test.createTestingModule({
      imports: [PgListenerModule.forRoot({ ...NOWHERE, ...options }), ...modules],
      providers,
      controllers,
    })
      .overrideProvider(getPgListenerToken())
      .useValue(listener)
      .setLogger(logs)
      .compile();
    before?.(module);
    await module.init();
    // Nest 11 rejects again at the close of what has not initialised.
    this.opened.push(module);
    return { listener, module, logs };
  }

  async close(): Promise<void> {
    await Promise.all(this.opened.splice(0).map((module) => module.close()));
  }
}
