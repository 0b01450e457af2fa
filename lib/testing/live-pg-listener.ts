import type { AppName } from '../interfaces/table.interface.js';
import { DEFAULT_APP_NAME } from '../pg-listener.constants.js';
import { AppRuntime, type RuntimeParts } from '../pg-listener.runtime.js';
import { ObservedPgListener } from './observed-pg-listener.js';

/**
 * The real listener, with its stream from a server, for tests with a database: besides, it writes down what its handlers are
 * called with, and has fault switches.
 *
 * @example
 * const listener = new LivePgListener();
 * const module = await Test.createTestingModule({ imports: [AppModule] })
 *   .overrideProvider(getPgListenerToken())
 *   .useValue(listener)
 *   .compile();
 * await module.init();
 * await client.query(`INSERT INTO orders VALUES (1, 'new')`);
 * await listener.journal.until('handled', 'orders', { record: { id: 1 } });
 */
export class LivePgListener<App extends AppName = 'default'> extends ObservedPgListener<App> {
  constructor(app: App = DEFAULT_APP_NAME as App) {
    super(app);
  }

  /** @internal */
  override createRuntime(parts: RuntimeParts): AppRuntime {
    const runtime: AppRuntime = new AppRuntime(this.watched(parts, () => runtime.dropConnection()));
    return runtime;
  }
}
