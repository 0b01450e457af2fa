import type { RowChange } from '../changes/change.js';
import type { LogicalMessageEvent } from '../changes/logical-message.js';
import type { WireImage } from '../changes/wire-image.js';
import type { ParkedChange, ParkedFilter } from './parked.interface.js';

/** Stands for every key of a table: a truncate, or a change whose key cannot be told. */
export const WHOLE_TABLE = '*';

/** A change that cannot be handled now, for one handler. */
export interface ParkingRequest {
  readonly handler: string;
  readonly work: RowChange | LogicalMessageEvent;
  /** Null: a message, or a change that never came over a wire. */
  readonly image: WireImage | null;
  /** Of the change's row, two where the key changed; `WHOLE_TABLE`; none of a message, which waits for nobody. */
  readonly keys: readonly string[];
  /** Null: it waits behind what is parked. */
  readonly error: Error | null;
  /** The handler is transactional: parking is one more way to be done with a change, and claims it. */
  readonly claims: boolean;
  /** Tries that failed; 0 where it waits. */
  readonly attempts: number;
}

/** The keys of one parked change. */
export interface ParkedKeys {
  readonly id: string;
  readonly handler: string;
  /** Null: a message. */
  readonly schema: string | null;
  readonly table: string | null;
  readonly keys: readonly string[];
}

/** A parked change, read again. */
export interface ParkedWork extends ParkedKeys {
  readonly work: RowChange | LogicalMessageEvent;
  readonly attempts: number;
}

/** What another process asked for, for the one that streams to do. */
export type ParkedRequest = 'retry' | 'discard';

/** The port between events and the table of parked changes. All of one slot. */
export interface ParkedStore {
  /** End of the log after the last change that was parked; 0 where it does not matter. */
  readonly writtenUpTo: bigint;
  /**
   * Resolves when it is durable. Idempotent: what comes again after a crash is kept once.
   *
   * @returns its keys as `keys()` would give them; null where it was there already
   * @throws ParkingError where the table is not there and cannot be made; SlotInUseError where another process has taken
   *   over the slot
   */
  park(request: ParkingRequest): Promise<ParkedKeys | null>;
  /** Of everything that is parked, in order. */
  keys(): Promise<ParkedKeys[]>;
  /**
   * What may be handled now, oldest in the log first: nothing that is parked for the same handler and comes before it in
   * the log has a key in common, whichever was parked first.
   *
   * There may be more than it gives; none means that there is none.
   *
   * @param except ids to leave out; what waits behind them is left out too
   */
  due(filter: ParkedFilter, except: readonly string[], limit: number): Promise<ParkedWork[]>;
  /** It is done: takes it out. @throws SlotInUseError where another process has taken over, which knows it as parked */
  handled(id: string): Promise<void>;
  /** One more try failed. */
  failed(id: string, error: Error): Promise<void>;
  /** Takes it out unhandled. @returns what was there @throws SlotInUseError as `handled` */
  discard(filter: ParkedFilter): Promise<ParkedKeys[]>;
  list(filter: ParkedFilter): Promise<ParkedChange[]>;
  count(filter: ParkedFilter): Promise<number>;
  /** Leaves word for the process that streams. @returns how many changes it is for */
  request(filter: ParkedFilter, what: ParkedRequest): Promise<number>;
  /** Ids of what others have asked for; the word is taken away. @throws SlotInUseError as `handled` */
  takeRequests(): Promise<{ readonly id: string; readonly what: ParkedRequest }[]>;
  close(): Promise<void>;
}
