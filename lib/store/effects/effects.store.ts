import { createHash } from 'node:crypto';
import type { Client } from 'pg';
import type { ConnectionTarget } from '../../connection/connection-target.js';
import { asError } from '../../errors/as-error.js';
import { SlotInUseError } from '../../errors/replication.error.js';
import { sqlState } from '../../errors/sql-state.js';
import type {
  EffectsStore,
  EffectsTask,
  StreamHistory,
  StreamStart,
} from '../../interfaces/effects-store.interface.js';
import type { ListenerLogger } from '../../interfaces/listener-logger.interface.js';
import type { WalPosition } from '../../interfaces/wal-position.interface.js';
import { formatLsn, laterLsn, lsnFromParts, parseLsn, type Lsn } from '../../protocol/lsn.js';
import { StoreSession } from '../store-session.js';
import type { StreamLease } from '../stream-lease.js';
import { timelineName } from '../timeline.js';
import { logEnd, WRITTEN, writtenIn } from '../written.js';
import { EffectsSessions, type EffectsSession } from './effects-sessions.js';
import { CallErrors } from './call-errors.js';
import * as call from './call.sql.js';
import * as sql from './effects.sql.js';
import { hasLost, isCommitInterrupted, isTimeout } from './interruption.js';
import { lendClient } from './lent-client.js';
import { OwnWrites } from './own-writes.js';
import { readProgress, spanName, type HandlerProgress, type ProgressOwner } from './progress.js';
import { requireOriginRights, SessionOrigins } from './session-origins.js';
import { SessionWatch } from './session-watch.js';
import { claimedOf, isCovered } from './spans.js';

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
  readonly stream: StreamStart;
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
 * A change is done where a span of the handler's covers its place, or it is claimed. Every process may claim, and the
 * primary key decides; nothing here relies on who streams, for a process may learn late that it does not any more.
 */
export class PgEffectsStore implements EffectsStore {
  writtenUpTo: Lsn = 0n;
  private readonly sessions: EffectsSessions;
  private readonly housekeeping: StoreSession;
  private readonly watch: SessionWatch;
  private readonly ownWrites: OwnWrites;
  private readonly errors: CallErrors;
  /** Of the slot, for the locks that calls hold. */
  private readonly slotKey: number;
  private opened: Opened | null = null;
  /** Of the last stream. */
  private history: StreamHistory | null = null;

  constructor(
    private readonly target: ConnectionTarget,
    private readonly options: PgEffectsStoreOptions,
  ) {
    const origins = options.isMarked ? new SessionOrigins() : null;
    this.sessions = new EffectsSessions(target, options.concurrency, async (session) => {
      await session.ask(call.PREPARE);
      await origins?.mark(session);
    });
    this.housekeeping = new StoreSession(target, { prepare: async () => undefined });
    this.ownWrites = new OwnWrites(options.logger);
    this.errors = new CallErrors(target.app);
    this.slotKey = keyOf(this.leaseSlot);
    this.watch = new SessionWatch(this.sessions, {
      states: (ids) => this.ask(sql.SESSION_STATES, [ids]),
      endEarlier: () => this.endEarlier(),
    });
  }

  async open(stream: StreamStart): Promise<void> {
    // Another history may be another server: what is connected to the one before it is of no use.
    if (this.history !== null && this.history !== stream.history) await this.sessions.close();
    this.history = stream.history;
    this.opened = null;
    const progress = await this.housekeeping.run(true, async (client) => {
      if (this.options.isMarked) await requireOriginRights(client, this.target);
      const found = await readProgress(client, this.options, stream, this.options.logger);
      // What it has passed is not looked at again: the commits behind it lie before this, and in this history.
      if (this.options.isFailover) this.writtenUpTo = await logEnd(client);
      return found;
    });
    await this.endEarlier();
    this.opened = { stream, progress };
  }

  async run<T>(task: EffectsTask<T>): Promise<T | undefined> {
    const { opened } = this;
    if (opened === null) throw this.errors.interrupted(task.handler, new Error('no stream is open'));
    const progress = opened.progress.get(task.handler)!;
    this.ownWrites.look(task.handler, task.xid);
    const wanted = this.wanted(task, opened, progress);
    if (wanted.length === 0) return undefined;
    const session = await this.sessions.lend(opened.stream.history.systemIdentifier, task.signal);
    try {
      return await this.transaction(session, task, opened, wanted);
    } finally {
      session.release();
    }
  }

  async fold(handler: string, history: StreamHistory, upTo: WalPosition): Promise<void> {
    const { opened } = this;
    if (opened === null || opened.stream.history !== history) return;
    const { id, from } = opened.progress.get(handler)!;
    // It was reached in an earlier stream, whose span has it.
    if (upTo.commitLsn < from) return;
    const place = [formatLsn(upTo.commitLsn), formatLsn(lsnFromParts(upTo.walHigh, upTo.walLow)), upTo.ordinal];
    const span = [id, spanName(opened.stream), formatLsn(from), ...place];
    await this.ask(sql.FOLD, [...span, timelineName(history.timeline)]);
  }

  forget(): void {
    this.opened = null;
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
    const mine = [...places.keys()].filter((index) => places[index]!.history === opened.stream.history);
    if (mine.length < places.length) {
      this.options.logger.warn(
        `Handler ${handler} had changes in hand of a history that the server has left: those that exist come again`,
      );
    }
    return mine.filter((index) => !isCovered(places[index]!, progress.spans));
  }

  private async transaction<T>(
    session: EffectsSession,
    task: EffectsTask<T>,
    opened: Opened,
    wanted: readonly number[],
  ): Promise<T | undefined> {
    const begun = await this.begin(session, task, opened, wanted);
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
    { stream, progress }: Opened,
    wanted: readonly number[],
  ): Promise<Begun> {
    const { lease, storeSlot } = this.options;
    const { epoch } = lease;
    const { id: progressId } = progress.get(handler)!;
    const statement = { mark: this.mark, slotName: this.leaseSlot, progressId };
    this.watch.claiming(session);
    try {
      const text =
        parkedId === null
          ? call.claim(
              statement,
              wanted.map((index) => places[index]!),
            )
          : call.takeOut(statement, storeSlot, parkedId);
      const answers = await session.ask(text);
      const spans = answers[3]!.rows as call.WorthRow[];
      const worth = spans[0];
      if (worth === undefined) throw this.errors.lostProgress(handler);
      this.refuseForeign(worth, epoch);
      this.refuseOtherLog(session, stream.history, worth, parkedId === null ? places[wanted.at(-1)!]! : null);
      const open =
        parkedId === null
          ? claimedOf(answers[2]!.rows as call.PlaceRow[], places, wanted, spans)
          : answers[2]!.rowCount === 1
            ? [0]
            : [];
      return { xid: worth.xid, open };
    } catch (error) {
      await this.rollback(session, error);
      if (error instanceof SlotInUseError) throw error;
      throw this.errors.interrupted(handler, session.loss ?? asError(error));
    } finally {
      this.watch.claimed(session);
    }
  }

  private refuseForeign({ epoch }: call.WorthRow, known: bigint | null): void {
    const { lease } = this.options;
    if (known !== null && known === lease.epoch && epoch !== String(known)) {
      throw new SlotInUseError(
        `Another process has taken over the slot "${this.leaseSlot}": what this one has in hand is its business now`,
        { app: this.target.app },
      );
    }
  }

  /**
   * @param history of the stream when the call began
   * @param last of the places that the call is for; null: it is for none of the present log
   */
  private refuseOtherLog(
    session: EffectsSession,
    history: StreamHistory,
    { timeline, log_end }: call.WorthRow,
    last: WalPosition | null,
  ): void {
    // While it waited for its connection, that may have become one to somewhere else.
    const isOther = timeline !== timelineName(history.timeline) || this.opened?.stream.history !== history;
    const isLost = last !== null && last.commitLsn >= parseLsn(log_end);
    if (!isOther && !isLost) return;
    // The next call may find the right server behind the same address.
    session.destroy(new Error('the server has another history by now than when the stream began'));
    throw session.loss!;
  }

  private async body<T>(session: EffectsSession, { handler, body }: EffectsTask<T>, { open }: Begun): Promise<T> {
    const lent = lendClient(session.client, this.target.app, handler);
    try {
      const value = await body(lent.client, open);
      const isOpen = lent.pending > 0 || (lent.hasSubmitted && !(await session.comesToRest()));
      if (isOpen && !session.isLost) throw this.leftOpen(session, handler);
      return value;
    } catch (error) {
      lent.takeBack();
      const isStuck = await this.rollback(session);
      // Looked at after that: a query that fails with the session may say so before the session does.
      const { loss } = session;
      const isOwn = isStuck || session.satTooLong || loss === error;
      if (loss !== null && !isOwn) throw this.errors.interrupted(handler, loss);
      if (hasLost(error)) throw this.errors.interrupted(handler, asError(error));
      throw error;
    } finally {
      lent.takeBack();
    }
  }

  /** Whatever we asked now would wait behind it, for ever where it is a cursor. */
  private leftOpen(session: EffectsSession, handler: string): Error {
    const error = this.errors.leftOpen(handler);
    session.destroy(error);
    return error;
  }

  private async commit<T>(session: EffectsSession, { handler }: EffectsTask<T>, { xid }: Begun): Promise<void> {
    const { isFailover } = this.options;
    try {
      const answers = await session.ask(call.commit(xid, isFailover));
      if (isFailover) this.wrote(answers[2]!.rows as object[]);
    } catch (error) {
      const { loss } = session;
      await this.rollback(session, error);
      if (loss !== null && session.satTooLong) throw loss;
      if (loss !== null || isCommitInterrupted(error)) throw this.errors.interrupted(handler, loss ?? asError(error));
      throw this.errors.misuse(handler, error);
    }
  }

  /** Nothing is open: others have committed all of it, and their commits lie before where the log ends now. */
  private async leave<T>(session: EffectsSession, { handler }: EffectsTask<T>): Promise<void> {
    if (!this.options.isFailover) return void (await this.rollback(session));
    try {
      const answers = await session.ask(`ROLLBACK; ${WRITTEN}`);
      this.wrote(answers[1]!.rows as object[]);
    } catch (error) {
      await this.rollback(session);
      throw this.errors.interrupted(handler, session.loss ?? asError(error));
    }
  }

  private wrote(rows: readonly object[]): void {
    this.writtenUpTo = laterLsn(this.writtenUpTo, writtenIn(rows));
  }

  /**
   * Where it cannot be, the session goes, and the server rolls back.
   *
   * @param reason what a statement of ours failed with, if one did
   * @returns whether there was no answer, as where the handler has left a cursor open
   */
  private async rollback(session: EffectsSession, reason?: unknown): Promise<boolean> {
    if (session.loss !== null) return false;
    try {
      await session.ask('ROLLBACK');
      // The next call finds another session, with what has to be prepared.
      if (sqlState(reason) === call.NOT_PREPARED) session.destroy(asError(reason));
      return false;
    } catch (error) {
      const isStuck = session.loss === null && isTimeout(error);
      session.destroy(asError(error));
      return isStuck;
    }
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

  private get mark(): call.CallMark {
    return { slotKey: this.slotKey, epochKey: Number(BigInt.asIntN(32, this.options.lease.epoch ?? 0n)) };
  }
}

function keyOf(slotName: string): number {
  return createHash('sha256').update(`pg_listener effects ${slotName}`).digest().readInt32BE(0);
}
