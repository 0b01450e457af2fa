import type { Client } from 'pg';
import { GapError, SlotError, SlotInUseError } from '../errors/replication.error.js';
import type { ListenerLogger } from '../interfaces/listener-logger.interface.js';
import type { OnGap } from '../interfaces/pg-listener-options.interface.js';
import type { PgListenerGap } from '../interfaces/gap.interface.js';
import { formatLsn, parseLsn, type Lsn } from '../protocol/lsn.js';
import { describeTarget, type ConnectionTarget } from '../connection/connection-target.js';
import { requireTwoPhase, type ServerFacts, type SystemIdentity } from '../connection/server-facts.js';
import { ensureOwnTables } from '../store/own-tables.js';
import type { StreamLease } from '../store/stream-lease.js';
import { enableFailover, failoverFaults, readFailoverFacts, requireFailover, STANDBY_NEEDS } from './failover.js';
import { advancedSlot, findGaps, type GapFinding } from './gap-finder.js';
import { GapKeeper } from './gap-keeper.js';
import { gapError } from './gap-texts.js';
import { reviewHandlers } from './new-handlers.js';
import { SlotManager, type FoundSlot, type SlotState } from './slot-manager.js';
import { SlotMemory } from './slot-memory.js';
import { refuseForeignSlot } from './slot-owner.js';
import { SlotRecord, type RecordedSlot, type Rebase, type SlotOwner, type Tenure } from './slot-record.js';
import { forkOf } from './timeline-history.js';

export interface SlotLifeOptions {
  readonly target: ConnectionTarget;
  /** Name null: a temporary slot for each connection. */
  readonly slot: { readonly name: string | null; readonly failover: boolean };
  /** Whether the slot is to send transactions when they are prepared. */
  readonly twoPhase?: boolean;
  /** Who owns the slot; null: not known. Asked when a stream is about to begin. */
  readonly service: () => string | null;
  readonly handlerIds: readonly string[];
  readonly onGap: OnGap;
  readonly lease: StreamLease;
  readonly logger: ListenerLogger;
  /** Told of each gap once, when it is found. */
  readonly onGapFound: (gap: PgListenerGap) => void;
}

/** What a connection has found, step by step. */
export interface SlotFinding {
  readonly slot: FoundSlot | null;
  readonly recorded: RecordedSlot | null;
  /** Whether our tables can be used. */
  readonly isRecorded: boolean;
}

/** How the stream begins. */
export interface SlotEntry {
  readonly slot: SlotState;
  readonly rebase: Rebase;
  readonly isNew: boolean;
  /** It follows a gap that somebody has acknowledged. */
  readonly isBehindGap: boolean;
}

/**
 * The slot of an app from one stream to the next: whose it is, what was recorded of it, where changes may be missing,
 * which handlers it has served. One connection goes through `look`, `judge`, `provide`, and, once the server streams,
 * `takeOver`.
 */
export class SlotLife {
  readonly slots: SlotManager;
  readonly gaps: GapKeeper;
  private readonly memory: SlotMemory;
  private readonly record: SlotRecord;
  private readonly told = new Set<string>();
  private waitingSince: Lsn | null = null;

  constructor(private readonly options: SlotLifeOptions) {
    const { target, slot, onGap, logger, onGapFound } = options;
    this.slots = new SlotManager(target, slot.name, options.twoPhase);
    this.memory = new SlotMemory(slot.name);
    this.record = new SlotRecord(slot.name ?? '');
    this.gaps = new GapKeeper({ target, slotName: () => this.slots.name, onGap, logger, onGapFound });
  }

  /**
   * What there is.
   *
   * @throws SlotError where it is not ours
   */
  async look(plain: Client, { version }: ServerFacts): Promise<SlotFinding> {
    const { slots } = this;
    slots.renew();
    if (this.options.twoPhase) requireTwoPhase(version, this.options.target);
    if (slots.isTemporary) {
      this.gaps.recording = false;
      return { slot: null, recorded: null, isRecorded: false };
    }
    if (this.options.slot.failover) requireFailover(version, this.options.target);
    const isRecorded = await this.canRecord(plain);
    this.gaps.recording = isRecorded;
    // The slot before the record: a holder records a position before it confirms it, so that this order finds no gap
    // that there is none of.
    let slot = await slots.inspect(plain);
    let recorded = isRecorded ? await this.record.read(plain) : null;
    if (slot === null && recorded !== null) {
      // Made by another process in between, or really gone.
      slot = await slots.inspect(plain);
      recorded = await this.record.read(plain);
    }
    refuseForeignSlot(slots.name, recorded, this.owner, this.options.target);
    return { slot, recorded, isRecorded };
  }

  /** Another process has the slot. @returns what to end with: this one stands by */
  async busy(plain: Client, holder: string | null): Promise<SlotInUseError> {
    if (this.waitingSince === null && !this.slots.isTemporary) {
      const { rows } = await plain.query<{ lsn: string | null }>(
        `SELECT (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END)::text AS lsn`,
      );
      this.waitingSince = parseLsn(rows[0]?.lsn ?? '0/0');
    }
    return this.slots.inUse(holder ?? 'another process');
  }

  /**
   * Looks for gaps, and for those that nobody has acknowledged yet.
   *
   * @param reached how far handlers of this process have come
   * @throws GapError
   */
  async judge(
    plain: Client,
    replication: Client,
    found: SlotFinding,
    identity: SystemIdentity,
    reached: Lsn,
  ): Promise<void> {
    const findings = await findGaps({
      slotName: this.slots.name,
      isTemporary: this.slots.isTemporary,
      identity,
      slot: found.slot,
      recorded: found.recorded,
      remembered: this.memory.trace,
      reached,
      forkOf: (timeline) => forkOf(replication, timeline, identity.timeline),
    });
    await this.gaps.load(plain);
    for (const finding of findings) await this.gaps.found(plain, finding);
    this.gaps.refuse();
    if (found.isRecorded) return;
    const doubt = this.memory.doubtOf(found.slot);
    if (doubt !== null) this.options.logger.warn(doubt);
  }

  /** The slot as it is to be streamed from: made, moved on or changed where that is due. */
  async provide(plain: Client, replication: Client, found: SlotFinding, version: number): Promise<SlotEntry> {
    const { slots, gaps } = this;
    const { slot } = found;
    const isBehindGap = gaps.current.length > 0;
    if (slot?.invalidated) throw this.mustBeDropped(slot.invalidated);
    if (slot === null) {
      const made = await slots.create(replication, plain, version, this.options.slot.failover);
      await this.checkFailover(plain);
      return { slot: made, rebase: 'replace', isNew: true, isBehindGap };
    }
    await this.provideFailover(plain, replication, slot);
    if (gaps.has('publication-missing')) {
      const from = slot.confirmedLsn;
      const moved = await slots.skipToEnd(plain, async (target) => {
        if (found.isRecorded) await this.record.announce(plain, target);
        await gaps.extend(plain, 'publication-missing', target);
      });
      this.options.logger.warn(
        `The slot "${slots.name}" was moved from ${formatLsn(from)} to ${formatLsn(moved.confirmedLsn)}, past the gap that was acknowledged`,
      );
      return { slot: moved, rebase: 'raise', isNew: false, isBehindGap };
    }
    const rebase = gaps.has('other-cluster') || gaps.has('history-lost') ? 'replace' : isBehindGap ? 'raise' : 'hold';
    return { slot, rebase, isNew: false, isBehindGap };
  }

  /**
   * The server has accepted the stream: the slot is ours.
   *
   * @returns null where nothing can be recorded
   * @throws SlotError where another owner was quicker; GapError where the slot was moved meanwhile
   */
  async takeOver(
    plain: Client,
    found: SlotFinding,
    entry: SlotEntry,
    identity: SystemIdentity,
  ): Promise<Tenure | null> {
    const { lease } = this.options;
    const { epoch } = lease;
    // What a handler has in hand since an earlier stream may be parked just now: the slot is ours already.
    lease.epoch = null;
    try {
      return await this.enter(plain, found, entry, identity);
    } catch (error) {
      lease.epoch = epoch;
      throw error;
    }
  }

  private async enter(
    plain: Client,
    found: SlotFinding,
    entry: SlotEntry,
    identity: SystemIdentity,
  ): Promise<Tenure | null> {
    const { options, slots, record } = this;
    const slot = (await slots.inspect(plain)) ?? entry.slot;
    let tenure: Tenure | null = null;
    if (found.isRecorded) {
      const recorded = await record.read(plain);
      const { confirmedLsn } = slot;
      const since = this.waitingSince;
      const review = reviewHandlers(recorded?.handlers ?? null, options.handlerIds, confirmedLsn, since);
      tenure = await record.takeOver(plain, {
        owner: this.owner,
        identity,
        handlers: review.served,
        slotLsn: confirmedLsn,
        rebase: await this.rebase(plain, found, entry, confirmedLsn, recorded),
      });
      if (tenure === null) {
        refuseForeignSlot(slots.name, await record.read(plain), this.owner, options.target);
        throw slots.inUse('another process');
      }
      for (const warning of review.warnings) options.logger.warn(warning);
      for (const news of review.news) options.logger.log(news);
      options.lease.epoch = tenure.epoch;
    }
    this.waitingSince = null;
    this.memory.enter(identity.systemIdentifier, identity.timeline, slot);
    await this.gaps.resolve(plain);
    return tenure;
  }

  /** Makes a position durable. @throws SlotInUseError where another process has taken over */
  async recordPosition(plain: Client, { epoch }: Tenure, lsn: Lsn): Promise<void> {
    if (await this.record.write(plain, epoch, lsn)) return;
    throw this.slots.inUse('another process, which has taken over');
  }

  /** We told the server this position, or are about to. */
  confirmed(lsn: Lsn): void {
    this.memory.confirmed(lsn);
  }

  /**
   * A gap that the stream has met.
   *
   * @param plain undefined: that connection is gone; it is kept in the process, and found again
   * @returns the error to end with; null where policy says to go on
   */
  async met(plain: Client | undefined, finding: GapFinding): Promise<GapError | null> {
    const gap = await this.gaps.found(plain ?? null, finding).catch(() => this.gaps.found(null, finding));
    return gap.acknowledgedAt === null ? gapError([gap]) : null;
  }

  /** The server refuses to stream from the slot; the catalogue tells why. */
  async unreadable(plain: Client, cause: Error): Promise<Error> {
    const { target } = this.options;
    const slot = await this.slots.inspect(plain);
    if (slot?.invalidated) {
      const detail = `The slot "${this.slots.name}" was invalidated by the server (${slot.invalidated}): ${cause.message}`;
      const finding: GapFinding = { kind: 'slot-invalidated', from: slot.confirmedLsn, to: null, detail };
      return (await this.met(plain, finding)) ?? this.mustBeDropped(slot.invalidated);
    }
    const message = `The slot "${this.slots.name}" on ${describeTarget(target)} cannot be streamed from: ${cause.message}`;
    return new SlotError(message, { app: target.app, cause });
  }

  /**
   * Whoever of this service had the slot since it was looked at has recorded what it confirmed: a slot that stands beyond
   * was moved by somebody else.
   *
   * @throws GapError
   */
  private async rebase(
    plain: Client,
    { slot }: SlotFinding,
    { rebase }: SlotEntry,
    slotLsn: Lsn,
    recorded: RecordedSlot | null,
  ): Promise<Rebase> {
    if (rebase !== 'hold' || slot === null || recorded === null) return rebase;
    if (slotLsn <= slot.confirmedLsn || slotLsn <= recorded.position) return rebase;
    await this.gaps.found(plain, advancedSlot(this.slots.name, recorded.position, slotLsn));
    this.gaps.refuse();
    return 'raise';
  }

  private get owner(): SlotOwner {
    return { service: this.options.service(), app: this.options.target.app };
  }

  private async canRecord(plain: Client): Promise<boolean> {
    const state = await ensureOwnTables(plain);
    if (!state.isUsable) {
      this.warnOnce(
        'Positions and gaps cannot be recorded in the database, so that a slot which is re-created or moved while no ' +
          `process of this service runs will not be noticed: ${state.reason}`,
      );
    }
    return state.isUsable;
  }

  private mustBeDropped(reason: string): SlotError {
    const { target } = this.options;
    return new SlotError(
      `The slot "${this.slots.name}" on ${describeTarget(target)} was invalidated (${reason}) and can never be read again`,
      {
        app: target.app,
        hint: `the gap is acknowledged; drop the slot, and the stream begins anew: SELECT pg_drop_replication_slot('${this.slots.name}');`,
      },
    );
  }

  private async provideFailover(plain: Client, replication: Client, slot: FoundSlot): Promise<void> {
    const { slots, options } = this;
    if (options.slot.failover && slot.failover === false) {
      await enableFailover(replication, slots.name, options.target.app);
      options.logger.log(`The slot "${slots.name}" is synchronised to standbys from now on`);
    }
    if (!options.slot.failover && slot.failover === true) {
      this.logOnce(
        `The slot "${slots.name}" is synchronised to standbys, although \`slot.failover\` is not set: left as it is`,
      );
    }
    await this.checkFailover(plain);
  }

  private async checkFailover(plain: Client): Promise<void> {
    if (!this.options.slot.failover) return;
    for (const fault of failoverFaults(await readFailoverFacts(plain))) this.warnOnce(`Failover: ${fault}`);
    this.logOnce(STANDBY_NEEDS);
  }

  private warnOnce(text: string): void {
    if (!this.told.has(text)) this.options.logger.warn(text);
    this.told.add(text);
  }

  private logOnce(text: string): void {
    if (!this.told.has(text)) this.options.logger.log(text);
    this.told.add(text);
  }
}
