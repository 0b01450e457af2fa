import type { EffectPlace, StreamHistory } from './effects-store.interface.js';
import type { TableShape } from './schema-change.interface.js';

/** How a table was described last, as far as handlers have been told. */
export interface KnownShape {
  readonly shape: TableShape;
  /** Since where in the log; null: in another log, whose positions mean nothing here. */
  readonly since: EffectPlace | null;
}

/** The port between events and the table of what is known of tables. All of one slot. */
export interface SchemaStore {
  /**
   * A stream begins: what handlers of this slot have been told, by whatever process, in that order.
   *
   * @param history of the stream
   * @returns null where nothing can be recorded: what the process knows counts
   */
  load(history: StreamHistory): Promise<readonly KnownShape[] | null>;
  /** Resolves when it is durable, or cannot be recorded at all. @throws SlotInUseError where another process has taken over */
  record(shape: TableShape, since: EffectPlace): Promise<void>;
  close(): Promise<void>;
}
