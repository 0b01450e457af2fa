import type { PgListenerConfig } from '../configs/pg-listener-config.js';
import type { HandlerDefinition } from '../interfaces/handler-definition.interface.js';
import type { ListenerLogger } from '../interfaces/listener-logger.interface.js';
import type { ChangeStreams } from './change-streams.js';
import type { FaultHooks } from './dispatcher-options.js';
import { EventsDispatcher } from './events.dispatcher.js';
import { HandlerRegistry } from './handler-registry.js';
import { HandlerRunner } from './handler-runner.js';

/** The handlers and observables of one app, ready to take transactions. */
export function createDispatcher(
  config: PgListenerConfig,
  definitions: readonly HandlerDefinition[],
  streams: ChangeStreams,
  logger: ListenerLogger,
  hooks: FaultHooks,
): EventsDispatcher {
  const { name, limits, retry, onExhausted } = config;
  const runners = definitions.map((each) => new HandlerRunner(each, { app: name, retry, onExhausted }));
  return new EventsDispatcher({
    app: name,
    limits,
    registry: new HandlerRegistry(runners, streams),
    streams,
    logger,
    ...hooks,
  });
}
