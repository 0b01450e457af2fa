import { LifecycleError } from '../errors/app.error.js';
import type { AppName } from '../interfaces/table.interface.js';
import { PgListener } from '../pg-listener.js';
import type { RuntimeParts } from '../pg-listener.runtime.js';
import { FaultSwitches } from './fault-switches.js';
import { HandlerJournal } from './handler-journal.js';
import { watchedHandler } from './watched-handler.js';

/** A listener of a test: it writes down what its handlers are called with, and makes calls fail where the test says so. */
export abstract class ObservedPgListener<App extends AppName = 'default'> extends PgListener {
  /** What was handled, retried, parked, skipped. */
  readonly journal = new HandlerJournal<App>();
  /** Faults that are switched on. */
  readonly faults = new FaultSwitches<App>();
  private isTaken = false;

  constructor(app: App) {
    super({ name: app, enabled: true });
  }

  /**
   * @param drop breaks the connection of the stream, and tells whether there was one
   * @returns the parts, with handlers that are watched
   * @throws LifecycleError where they are of another app, or not the first
   */
  protected watched(parts: RuntimeParts, drop: () => boolean): RuntimeParts {
    const app = parts.config.name;
    const kind = this.constructor.name;
    if (app !== this.name) {
      throw new LifecycleError(`A ${kind} of the app "${this.name}" was put in for "${app}"`, {
        app,
        hint: `make it with new ${kind}('${app}').`,
      });
    }
    if (this.isTaken) {
      throw new LifecycleError(`A ${kind} serves one application, and this one has had its own`, {
        app,
        hint: 'make a new one for each testing module, such as in beforeEach.',
      });
    }
    this.faults.attach(
      parts.definitions.map(({ id }) => id),
      drop,
    );
    this.isTaken = true;
    const definitions = parts.definitions.map((each) => watchedHandler(each, this.journal, this.faults));
    return { ...parts, definitions, watch: this.journal };
  }
}
