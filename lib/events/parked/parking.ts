// Not the global ones: a user's test that has put fake timers in must not stop the stream.
import { setTimeout as sleep } from 'node:timers/promises';
import { asError } from '../../errors/as-error.js';
import { ParkingError } from '../../errors/delivery.error.js';
import { ServerSetupError, SlotInUseError } from '../../errors/replication.error.js';
import type { DeliveryWatch } from '../../interfaces/delivery-watch.interface.js';
import type { ListenerLogger } from '../../interfaces/listener-logger.interface.js';
import type { ParkedKeys, ParkedStore, ParkingRequest } from '../../interfaces/parked-store.interface.js';
import type { HandlerRunner } from '../handler-runner.js';
import type { RunSignals } from '../run-signals.js';
import { ParkedIndex } from './parked-index.js';
import { describeWork, type ChangeWork, type MessageWork } from '../work.js';

/** Between tries where the table cannot be written: the change is safe where it is, for the position holds. */
const FIRST_DELAY_MS = 200;
const LONGEST_DELAY_MS = 30_000;

/**
 * Parks changes, and knows what is parked: the table on the server is the truth, the index here what each change is held
 * against. The index is ahead of the table: a key counts from the moment when parking begins.
 */
export class Parking {
  /** By id, for every handler, also for those that are no longer there. */
  private readonly rows = new Map<string, ParkedKeys>();
  private loads = 0;
  /** What has come and gone while it was loaded: the answer may not know of it. Null: gone. */
  private sinceLoad: Map<string, ParkedKeys | null> | null = null;
  /** On their way to the table. */
  private readonly underway = new Set<ParkedKeys>();
  /** Those of which a try has failed. */
  private readonly stuck = new Set<ParkingRequest>();
  private readonly waiting: (() => void)[] = [];
  private readonly runners: ReadonlyMap<string, HandlerRunner>;

  constructor(
    private readonly store: ParkedStore,
    runners: readonly HandlerRunner[],
    private readonly logger: ListenerLogger,
    /** Another process has the stream: what is in hand is its business now. */
    private readonly onSuperseded: (error: SlotInUseError) => void,
    private readonly watch?: DeliveryWatch,
  ) {
    this.runners = new Map(runners.map((runner) => [runner.id, runner]));
  }

  /**
   * Before the first change of a stream: another process may have parked, or unparked.
   *
   * @throws ServerSetupError where a handler's policy is to park, and there is no table for it
   */
  async load(): Promise<void> {
    const load = ++this.loads;
    const sinceLoad = (this.sinceLoad = new Map<string, ParkedKeys | null>());
    const parked = await this.store.keys().catch((error: unknown) => this.withoutTable(error));
    // Of an earlier connection: a later one knows better.
    if (load !== this.loads) return;
    this.sinceLoad = null;
    for (const runner of this.runners.values()) runner.parked = null;
    this.rows.clear();
    for (const row of parked) if (sinceLoad.get(row.id) !== null) this.enter(row);
    for (const row of sinceLoad.values()) if (row !== null) this.enter(row);
    // A handler's change may be on its way since an earlier connection; where it has arrived, it is there twice for now.
    for (const entry of this.underway) this.count(entry);
  }

  get size(): number {
    return this.rows.size;
  }

  /**
   * Resolves when it is durable; tries until then, or until the app drains.
   *
   * @throws AbortError where the work is given up meanwhile; SlotInUseError after it was given up to another process
   */
  async park(
    runner: HandlerRunner,
    work: ChangeWork | MessageWork,
    error: Error | null,
    attempts: number,
    run: RunSignals,
  ): Promise<void> {
    const request = requestOf(runner, work, error, attempts);
    const { schema = null, table = null } = work.kind === 'change' ? work.route.table : {};
    const entry = { id: '', handler: runner.id, schema, table, keys: request.keys };
    this.underway.add(entry);
    this.count(entry);
    try {
      const row = await this.keep(request, describeWork(work), run);
      this.watch?.parked(request);
      if (row === null) return;
      this.sinceLoad?.set(row.id, row);
      this.enter(row);
    } finally {
      this.stuck.delete(request);
      this.underway.delete(entry);
      this.discount(entry);
      if (this.underway.size === 0) for (const arrived of this.waiting.splice(0)) arrived();
    }
  }

  /** Whether anything is on its way to the table. */
  get isParking(): boolean {
    return this.underway.size > 0;
  }

  /** Resolves when nothing is on its way to the table: arrived, or given up. */
  arrived(): Promise<void> {
    return this.isParking ? new Promise((resolve) => this.waiting.push(resolve)) : Promise.resolve();
  }

  /** A handler whose change cannot be parked, and holds the position; null: none. */
  get stuckHandler(): string | null {
    const [request] = this.stuck;
    return request?.handler ?? null;
  }

  /**
   * Lets go of what is no longer in the table: somebody has deleted it by hand, or a process that streamed before this
   * one had it in hand and has just finished it.
   */
  async reconcile(): Promise<void> {
    // Only what was there before: what is parked meanwhile may be missing in the answer.
    const known = [...this.rows.keys()];
    if (known.length === 0) return;
    const present = new Set((await this.store.keys()).map(({ id }) => id));
    for (const id of known) if (!present.has(id)) this.release(id);
  }

  /** It is parked no more: what comes for its keys is handled again. */
  release(id: string): void {
    this.sinceLoad?.set(id, null);
    const row = this.rows.get(id);
    if (row === undefined) return;
    this.rows.delete(id);
    this.discount(row);
  }

  /** Nothing can be parked without the table, and nothing is. */
  private withoutTable(error: unknown): ParkedKeys[] {
    // A lock or a timeout says nothing about what is parked.
    if (!(error instanceof ParkingError && error.isTableMissing)) throw error;
    const parking = [...this.runners.values()].filter(({ onExhausted }) => onExhausted === 'park');
    if (parking.length === 0) return [];
    const ids = parking.map(({ id }) => id).join(', ');
    throw new ServerSetupError(`onExhausted 'park' of ${ids} needs the table of parked changes: ${error.message}`, {
      cause: error,
    });
  }

  private enter(row: ParkedKeys): void {
    if (this.rows.has(row.id)) return;
    this.rows.set(row.id, row);
    this.count(row);
  }

  private count(entry: ParkedKeys): void {
    const runner = this.runners.get(entry.handler);
    if (runner === undefined) return;
    runner.parked ??= new ParkedIndex();
    runner.parked.add(entry);
  }

  private discount(entry: ParkedKeys): void {
    const runner = this.runners.get(entry.handler);
    runner?.parked?.remove(entry);
    if (runner?.parked?.size === 0) runner.parked = null;
  }

  private superseded(error: SlotInUseError): never {
    this.logger.warn(error.message);
    this.onSuperseded(error);
    throw error;
  }

  private async keep(
    request: ParkingRequest,
    what: string,
    { signal, draining }: RunSignals,
  ): Promise<ParkedKeys | null> {
    for (let delayMs = FIRST_DELAY_MS; ; delayMs = Math.min(delayMs * 2, LONGEST_DELAY_MS)) {
      signal.throwIfAborted();
      try {
        return await this.store.park(request);
      } catch (error) {
        signal.throwIfAborted();
        if (error instanceof SlotInUseError) this.superseded(error);
        draining.throwIfAborted();
        this.stuck.add(request);
        this.logger.error(
          `Cannot park ${what} for ${request.handler}; next try in ${delayMs} ms, the position holds: ${asError(error).message}`,
        );
      }
      await sleep(delayMs, undefined, { signal: AbortSignal.any([signal, draining]) });
    }
  }
}

function requestOf(
  runner: HandlerRunner,
  work: ChangeWork | MessageWork,
  error: Error | null,
  attempts: number,
): ParkingRequest {
  const common = { handler: runner.id, claims: runner.effects !== null, error, attempts };
  if (work.kind === 'message') return { ...common, work: work.message, image: null, keys: [] };
  return { ...common, work: work.change, image: work.image, keys: work.keys };
}
