import type { PgListenerConfig } from '../configs/pg-listener-config.js';
import type { HandlerDefinition } from '../interfaces/handler-definition.interface.js';
import type { ListenerLogger } from '../interfaces/listener-logger.interface.js';
import type { ChangeStreams } from './change-streams.js';
import type { EffectsStore } from '../interfaces/effects-store.interface.js';
import type { SchemaStore } from '../interfaces/schema-store.interface.js';
import type { ParkedStore } from '../interfaces/parked-store.interface.js';
import type { OnExhausted } from '../interfaces/pg-listener-options.interface.js';
import type { FaultHooks } from './dispatcher-options.js';
import { EventsDispatcher } from './events.dispatcher.js';
import { HandlerRegistry } from './handler-registry.js';
import { HandlerRunner } from './handler-runner.js';
import type { ToastFiller } from './toast-filler.js';
import { SchemaBook } from './schemas/schema-book.js';
import { SchemaCalls } from './schemas/schema-calls.js';

/** What is kept or asked for outside of the stream. */
export interface DispatcherStores {
  readonly parked: ParkedStore;
  readonly effects: EffectsStore;
  /** Null: what is known of tables lasts as long as the process. */
  readonly schemas?: SchemaStore | null;
  /** Null: what the server does not send is not asked for. */
  readonly toast?: ToastFiller | null;
}

/** The handlers and observables of one app, ready to take transactions. */
export function createDispatcher(
  config: PgListenerConfig,
  definitions: readonly HandlerDefinition[],
  streams: ChangeStreams,
  logger: ListenerLogger,
  { parked, effects, schemas = null, toast = null }: DispatcherStores,
  hooks: FaultHooks,
): EventsDispatcher {
  const { name, limits, retry } = config;
  const runners = definitions.map(
    (each) =>
      new HandlerRunner(each, { app: name, retry, onExhausted: policyFor(each.kind, config.onExhausted), toast }),
  );
  const supersede = (error: Error): void => dispatcher.supersede(error);
  const book = new SchemaBook(runners, schemas, supersede);
  const dispatcher = new EventsDispatcher({
    app: name,
    limits,
    registry: new HandlerRegistry(runners, streams),
    streams,
    parked,
    effects,
    schemas: new SchemaCalls(book, { app: name, retry, onExhausted: 'block', toast: null }),
    // For looking on, no table is made.
    loadsParked: config.slot.name !== null || runners.some((runner) => runner.onExhausted === 'park'),
    logger,
    ...hooks,
  });
  return dispatcher;
}

/** The app's policy is for those that it fits: a whole transaction or a schema change cannot be parked, and holds the position instead. */
function policyFor(kind: HandlerDefinition['kind'], onExhausted: OnExhausted): OnExhausted {
  return (kind === 'transaction' || kind === 'schema') && onExhausted === 'park' ? 'block' : onExhausted;
}
