import { createHash } from 'node:crypto';
import type { Client } from 'pg';
import { OWN_SCHEMA } from '../../changes/own-schema.js';
import { isBeyond } from '../../changes/wal-position.js';
import type { ConnectionTarget } from '../../connection/connection-target.js';
import { asError } from '../../errors/as-error.js';
import { EffectsInterruptedError, TransactionMisuseError } from '../../errors/effects.error.js';
import { PgListenerError } from '../../errors/pg-listener.error.js';
import { SlotInUseError } from '../../errors/replication.error.js';
import { sqlState } from '../../errors/sql-state.js';
import type { EffectsStore, EffectsTask, StreamHistory } from '../../interfaces/effects-store.interface.js';
import type { ListenerLogger } from '../../interfaces/listener-logger.interface.js';
import type { WalPosition } from '../../interfaces/wal-position.interface.js';
import { formatLsn, lsnFromParts, parseLsn, type Lsn } from '../../protocol/lsn.js';
import { StoreSession } from '../store-session.js';
import type { StreamLease } from '../stream-lease.js';
import { timelineName } from '../timeline.js';
import { EffectsSessions, type EffectsSession } from './effects-sessions.js';
import * as sql from './effects.sql.js';
import { hasLost, isCommitInterrupted } from './interruption.js';
import { lendClient } from './lent-client.js';
import { OwnWrites } from './own-writes.js';
import { positionOf, readProgress, type HandlerProgress, type ProgressOwner } from './progress.js';
import { requireOriginRights, SessionOrigins } from './session-origins.js';
import { SessionWatch } from './session-watch.js';

export interface PgEffectsStoreOptions extends ProgressOwner {
  /** Under which changes of this app are parked. */
  readonly storeSlot: string;
  readonly lease: StreamLease;
  /** Calls that run at once, at most. */
  readonly concurrency: number;
  /** What is written bears a replication origin, and is left out of a stream that asks for none. */
  readonly isMarked: boolean;
  /** The slot is synchronised to standbys: effects must be there too before the position is. */
  readonly isFailover: boolean;
  readonly logger: ListenerLogger;
}

/** What the stream that runs has found. */
interface Opened {
  readonly history: StreamHistory;
  readonly progress: ReadonlyMap<string, HandlerProgress>;
}

interface Begun {
  readonly xid: string;
  readonly open: readonly number[];
}

/**
 * Effects of handlers in the source database, each with the claim of its change in one transaction: the tables `claims`
 * and `progress` of our own schema.
 *
 * A change is done where its place is not beyond the handler's progress, or is claimed. Every process may claim, and the
 * primary key decides; nothing here relies on who streams, for a process may learn late that it does not any more.
 */
export class PgEffectsStore implements EffectsStore {
  writtenUpTo: Lsn = 0n;
  private readonly sessions: EffectsSessions;
  private readonly housekeeping: StoreSession;
  private readonly watch: SessionWatch;
  private readonly ownWrites: OwnWrites;
  private opened: Opened | null = null;

  constructor(
    private readonly target: ConnectionTarget,
    private readonly options: PgEffectsStoreOptions,
  ) {
    const origins = options.isMarked ? new SessionOrigins(options.storeSlot) : null;
    this.sessions = new EffectsSessions(target, options.concurrency, async (session) => origins?.mark(session));
    this.housekeeping = new StoreSession(target, { prepare: async () => undefined });
    this.ownWrites = new OwnWrites(options.logger);
    this.watch = new SessionWatch(this.sessions, {
      states: (ids) => this.ask(sql.SESSION_STATES, [ids]),
      endEarlier: () => this.endEarlier(),
    });
  }

  async open(history: StreamHistory): Promise<void> {
    this.opened = null;
    const progress = await this.housekeeping.run(true, async (client) => {
      if (this.options.isMarked) await requireOriginRights(client, this.target);
      const found = await readProgress(client, this.options, history, this.options.logger);
      // What it has passed is not looked at again: the commits behind it lie before this, and in this history.
      if (this.options.isFailover) this.writtenUpTo = lsnOf((await client.query<sql.WrittenRow>(sql.WRITTEN)).rows);
      return found;
    });
    await this.endEarlier();
    this.opened = { history, progress };
  }

  async run<T>(task: EffectsTask<T>): Promise<T | undefined> {
    const { opened } = this;
    if (opened === null) throw this.interrupted(task.handler, new Error('no stream is open'));
    const progress = opened.progress.get(task.handler)!;
    this.ownWrites.look(task.handler, task.xid);
    const wanted = this.wanted(task, opened, progress);
    if (wanted.length === 0) return undefined;
    const session = await this.sessions.lend(opened.history.systemIdentifier, task.signal);
    try {
      return await this.transaction(session, task, progress, wanted);
    } finally {
      session.release();
    }
  }

  async fold(handler: string, history: StreamHistory, upTo: WalPosition): Promise<void> {
    const { opened } = this;
    if (opened === null || !isSameHistory(opened.history, history)) return;
    const { id } = opened.progress.get(handler)!;
    const place = [formatLsn(upTo.commitLsn), formatLsn(lsnFromParts(upTo.walHigh, upTo.walLow)), upTo.ordinal];
    await this.ask(sql.FOLD, [id, ...place, timelineName(history.timeline)]);
  }

  async close(): Promise<void> {
    this.opened = null;
    this.watch.close();
    await Promise.all([this.sessions.close(), this.housekeeping.close()]);
  }

  /** @returns indexes of the places that may be open still */
  private wanted<T>(
    { places, parkedId, handler }: EffectsTask<T>,
    opened: Opened,
    progress: HandlerProgress,
  ): number[] {
    if (parkedId !== null) return [0];
    const mine = [...places.keys()].filter((index) => isSameHistory(places[index]!.history, opened.history));
    if (mine.length < places.length) {
      this.options.logger.warn(
        `Handler ${handler} had changes in hand of a history that the server has left: those that exist come again`,
      );
    }
    return mine.filter((index) => isBeyond(places[index]!, progress.position));
  }

  private async transaction<T>(
    session: EffectsSession,
    task: EffectsTask<T>,
    progress: HandlerProgress,
    wanted: readonly number[],
  ): Promise<T | undefined> {
    const begun = await this.begin(session, task, progress, wanted);
    if (begun.open.length === 0) {
      await this.leave(session, task);
      return undefined;
    }
    const value = await this.body(session, task, begun);
    await this.commit(session, task, begun);
    this.ownWrites.add(task.handler, begun.xid);
    return value;
  }

  private async begin<T>(
    session: EffectsSession,
    { handler, places, parkedId }: EffectsTask<T>,
    { id: progressId }: HandlerProgress,
    wanted: readonly number[],
  ): Promise<Begun> {
    const { lease, storeSlot } = this.options;
    const { epoch } = lease;
    const statement = { mark: this.mark, slotName: this.leaseSlot, progressId };
    this.watch.claiming(session);
    try {
      const text =
        parkedId === null
          ? sql.claim(
              statement,
              wanted.map((index) => places[index]!),
            )
          : sql.takeOut(statement, storeSlot, parkedId);
      const answers = await session.ask(text);
      const worth = answers[3]!.rows[0] as sql.BegunRow | undefined;
      if (worth === undefined) throw new Error(`the row of its progress is gone from ${OWN_SCHEMA}.progress`);
      this.refuseForeign(worth, epoch);
      const open =
        parkedId === null
          ? claimedOf(answers[2]!.rows as sql.BegunRow[], places, wanted, worth)
          : answers[2]!.rowCount === 1
            ? [0]
            : [];
      return { xid: worth.xid, open };
    } catch (error) {
      await this.rollback(session);
      if (error instanceof SlotInUseError) throw error;
      throw this.interrupted(handler, session.loss ?? asError(error));
    } finally {
      this.watch.claimed(session);
    }
  }

  private refuseForeign({ timeline, epoch }: sql.BegunRow, known: bigint | null): void {
    const { lease } = this.options;
    if (known !== null && known === lease.epoch && epoch !== String(known)) {
      throw new SlotInUseError(
        `Another process has taken over the slot "${this.leaseSlot}": what this one has in hand is its business now`,
        { app: this.target.app },
      );
    }
    const { opened } = this;
    if (opened === null || timeline !== timelineName(opened.history.timeline)) {
      throw new Error('the server has another history by now than when the stream began');
    }
  }

  private async body<T>(session: EffectsSession, { handler, body }: EffectsTask<T>, { open }: Begun): Promise<T> {
    const lent = lendClient(session.client, this.target.app, handler);
    try {
      return await body(lent.client, open);
    } catch (error) {
      lent.takeBack();
      await this.rollback(session);
      // Looked at after that: a query that fails with the session may say so before the session does.
      const { loss } = session;
      if (loss !== null && !session.satTooLong) throw this.interrupted(handler, loss);
      if (hasLost(error)) throw this.interrupted(handler, asError(error));
      throw error;
    } finally {
      lent.takeBack();
    }
  }

  private async commit<T>(session: EffectsSession, { handler }: EffectsTask<T>, { xid }: Begun): Promise<void> {
    const { isFailover } = this.options;
    try {
      const answers = await session.ask(sql.commit(xid, isFailover));
      if (isFailover) this.wrote(answers[3]!.rows as sql.WrittenRow[]);
    } catch (error) {
      const { loss } = session;
      await this.rollback(session);
      if (loss !== null && session.satTooLong) throw loss;
      if (loss !== null || isCommitInterrupted(error)) throw this.interrupted(handler, loss ?? asError(error));
      throw this.misuse(handler, error);
    }
  }

  /** Nothing is open: others have committed all of it, and their commits lie before where the log ends now. */
  private async leave<T>(session: EffectsSession, { handler }: EffectsTask<T>): Promise<void> {
    if (!this.options.isFailover) return this.rollback(session);
    try {
      const answers = await session.ask(`ROLLBACK; ${sql.WRITTEN}`);
      this.wrote(answers[1]!.rows as sql.WrittenRow[]);
    } catch (error) {
      await this.rollback(session);
      throw this.interrupted(handler, session.loss ?? asError(error));
    }
  }

  private wrote(rows: readonly sql.WrittenRow[]): void {
    const lsn = lsnOf(rows);
    if (lsn > this.writtenUpTo) this.writtenUpTo = lsn;
  }

  /** What the handler has done to its transaction; anything else is an error of its own, such as a deferred constraint. */
  private misuse(handler: string, error: unknown): unknown {
    const { app } = this.target;
    if (sqlState(error) === '25P02') {
      return new TransactionMisuseError(`Handler ${handler} returned although a statement of it had failed`, {
        app,
        cause: error,
        hint: 'the server has given its transaction up: let the error through, or put a SAVEPOINT before such a statement.',
      });
    }
    if (sqlState(error) !== sql.NOT_OURS) return error;
    return new TransactionMisuseError(`Handler ${handler} has ended the transaction of its call itself`, {
      app,
      cause: error,
      hint: 'the package commits when the handler returns, and rolls back when it throws; within, use SAVEPOINT.',
    });
  }

  /** Where it cannot be, the session goes, and the server rolls back. */
  private async rollback(session: EffectsSession): Promise<void> {
    if (session.loss !== null) return;
    await session.ask('ROLLBACK').catch((error: unknown) => session.destroy(asError(error)));
  }

  private async endEarlier(): Promise<void> {
    const { lease, logger } = this.options;
    const { epoch } = lease;
    if (epoch === null) return;
    const { slotKey, epochKey } = this.mark;
    const parameters = [this.leaseSlot, String(epoch), slotKey, epochKey, this.sessions.lostProcesses];
    const ended = await this.ask<{ pid: string }>(sql.END_EARLIER, parameters).catch((error: unknown) => {
      logger.warn(`A process that streamed before may still hold what it has claimed: ${asError(error).message}`);
      return [];
    });
    for (const { pid } of ended)
      logger.log(`Ended the transaction of a process that streamed before (server process ${pid})`);
  }

  private ask<Row extends object>(text: string, parameters: unknown[]): Promise<Row[]> {
    return this.housekeeping.run(true, async (client: Client) => (await client.query<Row>(text, parameters)).rows);
  }

  private get leaseSlot(): string {
    return this.options.lease.slotName ?? this.options.storeSlot;
  }

  private get mark(): sql.CallMark {
    return { slotKey: keyOf(this.leaseSlot), epochKey: Number(BigInt.asIntN(32, this.options.lease.epoch ?? 0n)) };
  }

  private interrupted(handler: string, cause: Error): EffectsInterruptedError {
    if (cause instanceof EffectsInterruptedError) return cause;
    const reason = cause instanceof PgListenerError ? cause.message.split('\n', 1)[0]! : cause.message;
    return new EffectsInterruptedError(`The transaction of ${handler} was broken off: ${reason}`, {
      app: this.target.app,
      cause,
    });
  }
}

/** In the order of the stream. What was claimed although the progress has passed it is done by somebody else. */
function claimedOf(
  claimed: readonly sql.BegunRow[],
  places: readonly WalPosition[],
  wanted: readonly number[],
  worth: sql.BegunRow,
): number[] {
  const passed = positionOf(worth);
  const keys = new Set(claimed.map((row) => placeKey(positionOf(row))));
  return wanted.filter((index) => keys.has(placeKey(places[index]!)) && isBeyond(places[index]!, passed));
}

function lsnOf(rows: readonly sql.WrittenRow[]): Lsn {
  return parseLsn(rows[0]!.lsn);
}

function placeKey({ commitLsn, walHigh, walLow, ordinal }: WalPosition): string {
  return `${commitLsn} ${lsnFromParts(walHigh, walLow)} ${ordinal}`;
}

function isSameHistory(one: StreamHistory | null, other: StreamHistory): boolean {
  return one !== null && one.systemIdentifier === other.systemIdentifier && one.timeline === other.timeline;
}

function keyOf(slotName: string): number {
  return createHash('sha256').update(`pg_listener effects ${slotName}`).digest().readInt32BE(0);
}
