import type { ClientBase } from 'pg';
import { LifecycleError } from '../errors/app.error.js';
import type { HandlerDefinition, HandlerMethod } from '../interfaces/handler-definition.interface.js';
import type { TransactionalContext } from '../interfaces/handler.interface.js';
import type { AppName } from '../interfaces/table.interface.js';
import { DEFAULT_APP_NAME } from '../pg-listener.constants.js';
import type { RuntimeParts } from '../pg-listener.runtime.js';
import type { Emission } from './emissions.js';
import { ObservedPgListener } from './observed-pg-listener.js';
import type { StreamRecording } from './stream-recording.js';
import { TestRuntime } from './test-runtime.js';

/**
 * A `PgListener` for tests without a database: discovery, dispatcher, retry policy and observables are the real ones;
 * the changes come from the test.
 *
 * @example
 * const listener = new TestPgListener();
 * const module = await Test.createTestingModule({ imports: [AppModule] })
 *   .overrideProvider(getPgListenerToken())
 *   .useValue(listener)
 *   .compile();
 * await module.init();
 * await listener.emit(insert('orders', { id: 1, status: 'new' }));
 */
export class TestPgListener<App extends AppName = 'default'> extends ObservedPgListener<App> {
  private testRuntime: TestRuntime | undefined;
  private client: TransactionalContext['client'] | null = null;

  constructor(app: App = DEFAULT_APP_NAME as App) {
    super(app);
  }

  /**
   * Hands one committed transaction to the handlers and observables. Resolves when every handler has settled; several
   * calls run one after the other. Failing handlers are tried as often as their retry policy says, without delays.
   *
   * Do not await it in a handler: it waits for the handler.
   *
   * @param emissions one by one or as arrays: of many rows, hand the array over as it is
   * @returns ids of the handlers that were called, in order; none where nobody listens
   * @throws what a handler has thrown at its last attempt, as it is; the rest of the transaction is not delivered then
   * @throws LifecycleError where the application has not initialised, the listener has not been started, or stops before
   *   the handlers have finished
   */
  async emit(...emissions: readonly (Emission | readonly Emission[])[]): Promise<string[]> {
    return this.streaming().emit(emissions.flat());
  }

  /**
   * Hands over what was recorded of a server, with its positions: the very bytes, through the very decoder, and as if they came
   * for the first time. Twice the same recording is what comes again to a new process, with the same `change.id`.
   *
   * @returns ids of the handlers that were called, in order
   * @throws as `emit`; DecodeError where the recording is damaged
   */
  async replay(recording: StreamRecording): Promise<string[]> {
    return this.streaming().replay(recording);
  }

  /**
   * The client that transactional handlers get as `context.client`: of a database of the test's, or a stand-in. Nothing is
   * begun or committed on it.
   */
  useClient(client: ClientBase): void {
    this.client = client as TransactionalContext['client'];
    if (this.testRuntime !== undefined) this.testRuntime.effects.client = this.client;
  }

  private streaming(): TestRuntime {
    if (this.testRuntime === undefined) {
      throw new LifecycleError('Nothing can be emitted before the application has initialised', {
        app: this.name,
        hint: 'put this listener in with overrideProvider(getPgListenerToken()).useValue(...), and await module.init().',
      });
    }
    // What a dropped connection brings back may be waited for.
    if (!['streaming', 'backing-off', 'connecting'].includes(this.status.state)) {
      throw new LifecycleError(`Nothing can be emitted while the listener is ${this.status.state}`, {
        app: this.name,
        hint: 'await listener.start().',
      });
    }
    return this.testRuntime;
  }

  /** @internal */
  override createRuntime(parts: RuntimeParts): TestRuntime {
    const definitions = parts.definitions.map(byName);
    const runtime: TestRuntime = new TestRuntime(
      this.watched({ ...parts, definitions }, () => runtime.dropConnection()),
    );
    this.testRuntime = runtime;
    this.testRuntime.effects.client = this.client;
    return this.testRuntime;
  }
}

/** The test may have put a spy in the place of the method. */
function byName(definition: HandlerDefinition): HandlerDefinition {
  const { methodName, around } = definition;
  const method: HandlerMethod = function (this: object, ...parameters: unknown[]) {
    return (this as Record<string, (...given: unknown[]) => unknown>)[methodName]!(...parameters);
  };
  Object.defineProperty(method, 'name', { value: methodName });
  return { ...definition, callback: around?.(method) ?? method };
}
