import type { ListenerLogger } from '../interfaces/listener-logger.interface.js';
import type { ChangeStreams } from './change-streams.js';
import type { HandlerRegistry } from './handler-registry.js';

/** What cannot be settled by calling handlers again. */
export interface FaultHooks {
  /** The app cannot go on: its stream must halt. */
  readonly onFault: (error: Error) => void;
  /** A handler has used up its attempts. True: the caller has taken the work away, and it is not tried again. */
  readonly onExhausted?: (error: unknown) => boolean;
}

export interface DispatcherOptions extends FaultHooks {
  readonly app: string;
  readonly limits: { readonly changes: number; readonly bytes: number };
  readonly registry: HandlerRegistry;
  readonly streams: ChangeStreams;
  readonly logger: ListenerLogger;
}
