import { asChange, type ChangePlace, type RowChange } from '../changes/change.js';
import { readImage } from '../changes/image-reader.js';
import { LogicalMessageEvent } from '../changes/logical-message.js';
import { messageImage, readMessageImage } from '../changes/message-image.js';
import { parkedErrorText } from '../changes/parking.js';
import { canonicalTable } from '../changes/table-pattern.js';
import { TransactionInfo } from '../changes/transaction.js';
import type { Relation } from '../decoder/pgoutput-messages.js';
import type { RelationCache, CachedRelation } from '../decoder/relation-cache.js';
import { ParkingError } from '../errors/delivery.error.js';
import type { ParkedChange } from '../interfaces/parked.interface.js';
import type { ParkedKeys, ParkedWork, ParkingRequest } from '../interfaces/parked-store.interface.js';
import type { Operation } from '../interfaces/change.interface.js';
import { formatLsn, lsnFromParts, parseLsn } from '../protocol/lsn.js';

/** The readable copy is for people: nobody reads one of this length, in characters. */
const LONGEST_COPY = 1_000_000;
const LOW_HALF = 0xffffffffn;
const MESSAGE = 'message';

/** Columns as text, as the server gives them. */
export interface KeysRow {
  readonly id: string;
  readonly handler: string;
  readonly schema_name: string | null;
  readonly table_name: string | null;
  readonly keys: string;
}

export interface WorkRow extends KeysRow {
  readonly operation: string | null;
  readonly commit_lsn: string;
  readonly wal_lsn: string;
  readonly ordinal: string;
  readonly xid: string;
  readonly index: string;
  readonly origin: string | null;
  readonly relation: string | null;
  readonly attempts: string;
  readonly error: string | null;
  readonly message: string;
  /** Times: milliseconds since 1970. */
  readonly commit_timestamp: string;
  readonly parked_at: string;
  readonly last_attempt_at: string | null;
}

/** The parameters of `PARK`, in its order. @throws ParkingError where there is nothing to keep of a change */
export function parkParameters(slotName: string, app: string, request: ParkingRequest): unknown[] {
  const { handler, work, image, keys, attempts, error } = request;
  const { transaction, walHigh, walLow, ordinal } = work;
  const { commitLsn, xid, commitTimestamp, origin } = transaction;
  const place = [formatLsn(commitLsn), formatLsn(lsnFromParts(walHigh, walLow)), ordinal, xid];
  const start = [slotName, handler, ...place, commitTimestamp.toISOString(), app];
  const end = [attempts, error === null ? null : parkedErrorText(error), readableCopy(work)];
  if (work instanceof LogicalMessageEvent) {
    return [...start, null, null, MESSAGE, [], 0, origin, null, messageImage(work), ...end];
  }
  const { schema, table, operation, index } = work;
  if (image === null) {
    throw new ParkingError(`A change of ${canonicalTable(schema, table)} has no copy that could be parked`, {
      app,
      hint: 'only what came from a server is kept there; in tests, park in memory.',
    });
  }
  const relation = JSON.stringify(image.cached.relation);
  return [...start, schema, table, operation, keys, index, origin, relation, image.message, ...end];
}

/** The same without what the server may have refused: its encoding, or its jsonb, does not take everything. */
export function plainParameters(parameters: readonly unknown[]): unknown[] {
  const error = parameters.at(-2) as string | null;
  return [...parameters.slice(0, -2), error === null ? null : plainText(error), null];
}

/** An error's text in characters that every encoding has. */
export function plainText(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replace(/[^\x20-\x7e\n\t]/g, '?');
}

/** For people who look into the table. Null where it cannot be had: a value may be anything that a parser makes. */
function readableCopy(work: ParkingRequest['work']): string | null {
  try {
    const text = JSON.stringify(work);
    return text.length > LONGEST_COPY ? null : text;
  } catch {
    return null;
  }
}

export function keysOf(row: KeysRow): ParkedKeys {
  const { id, handler, schema_name, table_name, keys } = row;
  return { id, handler, schema: schema_name, table: table_name, keys: JSON.parse(keys) as string[] };
}

/** The oids of the types of their columns. */
export function typesOf(rows: readonly WorkRow[]): Set<number> {
  const oids = new Set<number>();
  for (const relation of new Set(rows.map(({ relation }) => relation))) {
    if (relation === null) continue;
    for (const { typeOid } of (JSON.parse(relation) as Relation).columns) oids.add(typeOid);
  }
  return oids;
}

/** Reads rows of one answer: what describes a table is made once for all changes of it. */
export class ParkedRowReader {
  private readonly described = new Map<string, CachedRelation>();

  constructor(
    private readonly app: string,
    private readonly relations: RelationCache,
  ) {}

  /** @throws DecodeError where a type parser of this process fails on a value */
  work(row: WorkRow): ParkedWork {
    return { ...keysOf(row), work: this.read(row), attempts: Number(row.attempts) };
  }

  /** @throws ParkingError where it cannot be read */
  change(row: WorkRow): ParkedChange {
    const { id, handler, keys } = keysOf(row);
    const work = this.readOrExplain(row);
    const isMessage = work instanceof LogicalMessageEvent;
    return {
      id,
      app: this.app,
      handler,
      change: isMessage ? work : asChange(work),
      table: isMessage ? null : canonicalTable(work.schema, work.table),
      operation: isMessage ? null : (row.operation as Operation),
      keys,
      error: row.error,
      attempts: Number(row.attempts),
      parkedAt: new Date(Number(row.parked_at)),
      lastAttemptAt: row.last_attempt_at === null ? null : new Date(Number(row.last_attempt_at)),
    };
  }

  private readOrExplain(row: WorkRow): RowChange | LogicalMessageEvent {
    try {
      return this.read(row);
    } catch (cause) {
      throw new ParkingError(`The parked change ${row.id} of the handler ${row.handler} cannot be read`, {
        app: this.app,
        cause,
        hint: `mend the type parser that the cause names, or take the change out: discard({ ids: ['${row.id}'] }).`,
      });
    }
  }

  private read(row: WorkRow): RowChange | LogicalMessageEvent {
    const { commit_lsn, xid, commit_timestamp, origin, relation } = row;
    const committed = new Date(Number(commit_timestamp));
    const transaction = new TransactionInfo(this.app, parseLsn(commit_lsn), Number(xid), committed);
    transaction.origin = origin;
    const message = Buffer.from(row.message, 'hex');
    if (relation === null) return readMessageImage(message, transaction);
    return readImage({ cached: this.describe(relation), message }, transaction, placeOf(row));
  }

  private describe(text: string): CachedRelation {
    let cached = this.described.get(text);
    if (cached === undefined) {
      cached = this.relations.add(JSON.parse(text) as Relation);
      this.described.set(text, cached);
    }
    return cached;
  }
}

function placeOf({ wal_lsn, ordinal, index }: WorkRow): ChangePlace {
  const lsn = parseLsn(wal_lsn);
  return {
    walHigh: Number(lsn >> 32n),
    walLow: Number(lsn & LOW_HALF),
    ordinal: Number(ordinal),
    index: Number(index),
  };
}
