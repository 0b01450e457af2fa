import { asChange } from '../changes/change.js';
import { LogicalMessageEvent } from '../changes/logical-message.js';
import { checkFilter, keysOverlap, parkedErrorText, parkingIdentity, type CheckedFilter } from '../changes/parking.js';
import { canonicalTable } from '../changes/table-pattern.js';
import { isBeyond } from '../changes/wal-position.js';
import type { ParkedChange, ParkedFilter } from '../interfaces/parked.interface.js';
import type {
  ParkedKeys,
  ParkedRequest,
  ParkedStore,
  ParkedWork,
  ParkingRequest,
} from '../interfaces/parked-store.interface.js';

interface Entry extends ParkedWork {
  readonly identity: string;
  readonly parkedAt: Date;
  attempts: number;
  error: string | null;
  lastAttemptAt: Date | null;
  request: ParkedRequest | null;
}

/** What is parked in a test: the changes themselves, gone with the process. */
export class MemoryParkedStore implements ParkedStore {
  readonly writtenUpTo = 0n;
  /** Oldest first. */
  private readonly entries = new Map<string, Entry>();
  private lastId = 0;

  async park(request: ParkingRequest): Promise<ParkedKeys | null> {
    const identity = parkingIdentity(request);
    if ([...this.entries.values()].some((entry) => entry.identity === identity)) return null;
    const { handler, work, keys, error, attempts } = request;
    const [schema, table] = work instanceof LogicalMessageEvent ? [null, null] : [work.schema, work.table];
    const entry: Entry = {
      id: String(++this.lastId),
      identity,
      handler,
      schema,
      table,
      keys: table === null ? [] : [...keys],
      work,
      attempts,
      error: error === null ? null : parkedErrorText(error),
      parkedAt: new Date(),
      lastAttemptAt: attempts > 0 ? new Date() : null,
      request: null,
    };
    this.entries.set(entry.id, entry);
    return keysOf(entry);
  }

  async keys(): Promise<ParkedKeys[]> {
    return [...this.entries.values()].map(keysOf);
  }

  async due(filter: ParkedFilter, except: readonly string[], limit: number): Promise<ParkedWork[]> {
    const left = new Set(except);
    return this.select(checkFilter(filter))
      .filter((entry) => !left.has(entry.id) && !this.isHeld(entry))
      .sort((one, other) => (isBefore(one, other) ? -1 : 1))
      .slice(0, limit)
      .map(workOf);
  }

  async handled(id: string): Promise<void> {
    this.entries.delete(id);
  }

  async failed(id: string, error: Error): Promise<void> {
    const entry = this.entries.get(id);
    if (entry === undefined) return;
    entry.attempts++;
    entry.error = parkedErrorText(error);
    entry.lastAttemptAt = new Date();
  }

  async discard(filter: ParkedFilter): Promise<ParkedKeys[]> {
    const gone = this.select(checkFilter(filter));
    for (const { id } of gone) this.entries.delete(id);
    return gone.map(keysOf);
  }

  async list(filter: ParkedFilter): Promise<ParkedChange[]> {
    const checked = checkFilter(filter);
    return this.select(checked).slice(0, checked.limit).map(parkedChange);
  }

  async count(filter: ParkedFilter): Promise<number> {
    return this.select(checkFilter(filter)).length;
  }

  async request(filter: ParkedFilter, what: ParkedRequest): Promise<number> {
    const asked = this.select(checkFilter(filter));
    for (const entry of asked) entry.request = what;
    return asked.length;
  }

  async takeRequests(): Promise<{ readonly id: string; readonly what: ParkedRequest }[]> {
    const taken: { id: string; what: ParkedRequest }[] = [];
    for (const entry of this.entries.values()) {
      if (entry.request !== null) taken.push({ id: entry.id, what: entry.request });
      entry.request = null;
    }
    return taken;
  }

  async close(): Promise<void> {}

  private select({ ids, handler, table }: CheckedFilter): Entry[] {
    return [...this.entries.values()].filter(
      (entry) =>
        (ids === null || ids.includes(entry.id)) &&
        (handler === null || handler === entry.handler) &&
        (table === null || (table.schema === entry.schema && table.table === entry.table)),
    );
  }

  private isHeld(entry: Entry): boolean {
    const { handler, schema, table, keys } = entry;
    for (const other of this.entries.values()) {
      const isSameQueue = other.handler === handler && other.schema === schema && other.table === table;
      if (isSameQueue && keysOverlap(other.keys, keys) && isBefore(other, entry)) return true;
    }
    return false;
  }
}

/** In the log, whenever they were parked. */
function isBefore(one: Entry, other: Entry): boolean {
  const [a, b] = [one.work, other.work];
  if (isBeyond(b, a)) return true;
  return !isBeyond(a, b) && Number(one.id) < Number(other.id);
}

function keysOf({ id, handler, schema, table, keys }: Entry): ParkedKeys {
  return { id, handler, schema, table, keys };
}

function workOf(entry: Entry): ParkedWork {
  return { ...keysOf(entry), work: entry.work, attempts: entry.attempts };
}

function parkedChange(entry: Entry): ParkedChange {
  const { id, handler, keys, work, error, attempts, parkedAt, lastAttemptAt } = entry;
  const told = { id, app: work.app, handler, keys, error, attempts, parkedAt, lastAttemptAt };
  if (work instanceof LogicalMessageEvent) return { ...told, change: work, table: null, operation: null };
  const table = canonicalTable(work.schema, work.table);
  return { ...told, change: asChange(work), table, operation: work.operation };
}
