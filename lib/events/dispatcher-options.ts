import type { ListenerLogger } from '../interfaces/listener-logger.interface.js';
import type { EffectsStore } from '../interfaces/effects-store.interface.js';
import type { ParkedStore } from '../interfaces/parked-store.interface.js';
import type { ChangeStreams } from './change-streams.js';
import type { FaultHooks } from './handler-desk.js';
import type { SchemaCalls } from './schemas/schema-calls.js';
import type { HandlerRegistry } from './handler-registry.js';

export type { FaultHooks };

export interface DispatcherOptions extends FaultHooks {
  readonly app: string;
  readonly limits: { readonly changes: number; readonly bytes: number };
  readonly registry: HandlerRegistry;
  readonly streams: ChangeStreams;
  readonly parked: ParkedStore;
  readonly effects: EffectsStore;
  readonly schemas: SchemaCalls;
  /** Whether anything can be parked from earlier. */
  readonly loadsParked: boolean;
  readonly logger: ListenerLogger;
}
