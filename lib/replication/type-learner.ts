import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';
import type { DatabaseTypes, LearningTypes } from '../connection/database-types.js';
import type { Relation } from '../decoder/pgoutput-messages.js';
import { asError } from '../errors/as-error.js';
import { ConnectionError } from '../errors/replication.error.js';
import type { StreamPace } from './in-progress/streamed-transactions.js';

/** So long the stream waits for the catalogue, in all. */
const PATIENCE_MS = 20_000;
/** Between two looks at what is not visible yet. */
const LOOK_EVERY_MS = 20;

/** Whose types are asked for. */
interface Asker {
  /** `schema.name` of a table. */
  readonly what: string;
  readonly xid: number | null;
}

export interface TypeLearnerOptions {
  readonly app: string;
  readonly client: Client;
  readonly known: DatabaseTypes;
  readonly types: LearningTypes;
  readonly pace: Pick<StreamPace, 'hold' | 'release' | 'fail'>;
  /** Milliseconds. @default 20 000 */
  readonly patienceMs?: number;
}

/**
 * Learns types that were made after a connection began, when a Relation message names one: the stream is held, the catalogue
 * is asked on the connection for queries, and the stream goes on behind the message, before any row of the table.
 *
 * The stream runs ahead of what a query sees: what a transaction has made may not be visible when it comes, so that it is
 * asked for until the transaction is. Of one that is in progress nothing can be visible, and its rows are not read before it
 * commits: it is asked for then.
 */
export class TypeLearner {
  /** By the transaction in progress. */
  private readonly later = new Map<number, Set<number>>();

  constructor(private readonly options: TypeLearnerOptions) {}

  /** A Relation message has come. @param xid of its transaction @param isInProgress nothing of it is visible */
  met({ schema, table, columns }: Relation, xid: number | null, isInProgress: boolean): void {
    const oids = this.options.types.oids.unknown(columns.map(({ typeOid }) => typeOid));
    if (oids.length === 0) return;
    const { pace } = this.options;
    pace.hold();
    this.learn(oids, { what: `${schema}.${table}`, xid }, isInProgress).then(
      () => pace.release(),
      (error: unknown) => pace.fail(asError(error)),
    );
  }

  /** The transaction was in progress, and has committed. @returns null where all is known */
  committed(xid: number): Promise<void> | null {
    const oids = this.later.get(xid);
    if (oids === undefined) return null;
    this.later.delete(xid);
    const unknown = this.options.types.oids.unknown(oids);
    return unknown.length === 0 ? null : this.learn(unknown, { what: `transaction ${xid}`, xid }, false);
  }

  /** The transaction was in progress, and was rolled back. */
  rolledBack(xid: number): void {
    this.later.delete(xid);
  }

  /** @throws ConnectionError where the catalogue cannot be asked, or does not show in time what the transaction made */
  private async learn(oids: readonly number[], { what, xid }: Asker, isInProgress: boolean): Promise<void> {
    const { client, known, types, patienceMs = PATIENCE_MS } = this.options;
    const deadline = Date.now() + patienceMs;
    for (;;) {
      const isAll = await this.inTime(known.learn(client, types, oids, xid), deadline, what);
      if (isAll) return;
      const unknown = types.oids.unknown(oids);
      if (unknown.length === 0) return;
      if (isInProgress && xid !== null) return this.askLater(xid, unknown);
      if (Date.now() >= deadline) throw this.fault(what, 'its transaction is not visible yet');
      await sleep(LOOK_EVERY_MS);
    }
  }

  private askLater(xid: number, oids: readonly number[]): void {
    const later = this.later.get(xid) ?? new Set();
    for (const oid of oids) later.add(oid);
    this.later.set(xid, later);
  }

  private async inTime<T>(asked: Promise<T>, deadline: number, what: string): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(this.fault(what, 'the server does not answer')), deadline - Date.now());
    });
    try {
      return await Promise.race([asked, late]);
    } catch (cause) {
      throw cause instanceof ConnectionError ? cause : this.fault(what, asError(cause).message, cause);
    } finally {
      clearTimeout(timer);
    }
  }

  private fault(what: string, reason: string, cause?: unknown): ConnectionError {
    const { app } = this.options;
    return new ConnectionError(`The types of ${what} could not be read from the catalogue: ${reason}`, { app, cause });
  }
}
