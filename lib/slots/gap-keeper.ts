import type { Client } from 'pg';
import type { GapKind, PgListenerGap } from '../interfaces/gap.interface.js';
import type { ListenerLogger } from '../interfaces/listener-logger.interface.js';
import type { OnGap } from '../interfaces/pg-listener-options.interface.js';
import type { Lsn } from '../protocol/lsn.js';
import { closeClient, connectPlain } from '../connection/connection.js';
import type { ConnectionTarget } from '../connection/connection-target.js';
import { translateServerError } from '../connection/server-errors.js';
import { GapBook } from './gap-book.js';
import type { GapFinding } from './gap-finder.js';
import { gapError } from './gap-texts.js';

export interface GapKeeperOptions {
  readonly target: ConnectionTarget;
  readonly slotName: () => string;
  readonly onGap: OnGap;
  readonly logger: ListenerLogger;
  /** Told of each gap once, when it is found. */
  readonly onGapFound: (gap: PgListenerGap) => void;
}

/** What one gap says of another one is said once: a slot that was invalidated is gone when it has been dropped. */
const COVERS: Readonly<Partial<Record<GapKind, readonly GapKind[]>>> = {
  'slot-missing': ['slot-missing', 'slot-invalidated'],
};

/** The gaps of an app: found, told, waited for until somebody acknowledges them, and resolved. */
export class GapKeeper {
  private readonly book: GapBook;
  private unresolved: readonly PgListenerGap[] = [];
  private readonly toldIds = new Set<string>();
  /** Whether there is a table for it; null: not known yet. */
  private isRecorded: boolean | null = null;

  constructor(private readonly options: GapKeeperOptions) {
    this.book = new GapBook(options.target.app, options.slotName);
  }

  /** Those that no stream has begun behind, as far as this process knows. */
  get current(): readonly PgListenerGap[] {
    return this.unresolved;
  }

  has(kind: GapKind): boolean {
    return this.unresolved.some((gap) => gap.kind === kind);
  }

  /** Whether gaps go into the database. */
  set recording(isRecorded: boolean) {
    this.isRecorded = isRecorded;
  }

  /** What is open from earlier, also from before this process. A policy that is new counts for it too. */
  async load(plain: Client): Promise<void> {
    const client = this.isRecorded ? plain : null;
    if (client !== null) for (const gap of await this.book.moveTo(client)) this.toldIds.add(gap.id);
    if (this.options.onGap === 'continue') await this.book.acknowledge(client, undefined, 'policy');
    this.unresolved = await this.book.list(client);
    for (const gap of this.unresolved) this.tell(gap);
  }

  /** @returns the gap that it is, which may be known already */
  async found(plain: Client | null, finding: GapFinding): Promise<PgListenerGap> {
    const kinds = COVERS[finding.kind] ?? [finding.kind];
    const known = this.unresolved.find(({ kind }) => kinds.includes(kind));
    if (known !== undefined) return known;
    const { onGap, logger } = this.options;
    const by = onGap === 'continue' ? 'policy' : null;
    const gap = await this.book.add(this.isRecorded ? plain : null, finding, by);
    this.unresolved = [...this.unresolved, gap];
    if (by !== null) logger.error(`Changes may be missing, and onGap is 'continue': ${gap.detail}`);
    this.tell(gap);
    return gap;
  }

  /** @throws GapError where somebody has to acknowledge a gap */
  refuse(): void {
    const waiting = this.unresolved.filter(({ acknowledgedAt }) => acknowledgedAt === null);
    if (waiting.length > 0) throw gapError(waiting);
  }

  async extend(plain: Client, kind: GapKind, to: Lsn): Promise<void> {
    await this.book.extend(this.isRecorded ? plain : null, kind, to);
  }

  /** A stream has begun. */
  async resolve(plain: Client): Promise<void> {
    if (this.unresolved.length === 0) return;
    await this.book.resolve(this.isRecorded ? plain : null);
    this.unresolved = [];
  }

  /** On a connection of its own. @throws PgListenerError where the server cannot be reached */
  list(all: boolean): Promise<PgListenerGap[]> {
    return this.connected((client) => this.book.list(client, all));
  }

  /**
   * On a connection of its own.
   *
   * @param ids undefined: all that wait
   * @returns those that were acknowledged just now, and whether others still wait
   */
  async acknowledge(ids: readonly string[] | undefined): Promise<{ gaps: PgListenerGap[]; isWaiting: boolean }> {
    return this.connected(async (client) => {
      const gaps = await this.book.acknowledge(client, ids, 'application');
      this.unresolved = await this.book.list(client);
      return { gaps, isWaiting: this.unresolved.some(({ acknowledgedAt }) => acknowledgedAt === null) };
    });
  }

  private tell(gap: PgListenerGap): void {
    if (this.toldIds.has(gap.id)) return;
    this.toldIds.add(gap.id);
    this.options.onGapFound(gap);
  }

  /** @param use its client is null where nothing is recorded in the database */
  private async connected<T>(use: (client: Client | null) => Promise<T>): Promise<T> {
    if (this.isRecorded === false) return use(null);
    const client = await connectPlain(this.options.target);
    try {
      return await use(client);
    } catch (error) {
      throw translateServerError(error, this.options.target);
    } finally {
      await closeClient(client);
    }
  }
}
