import { HISTORY, streamOf } from '../../../support/history.js';
import { Delete, Truncate, Update, type RowChange } from '#lib/changes/change.js';
import { ParkedRedriver } from '#lib/events/parked/parked-redriver.js';
import type { ParkedKeys, ParkingRequest } from '#lib/interfaces/parked-store.interface.js';
import { MemoryParkedStore } from '#lib/testing/memory-parked.store.js';
import { Deferred, DispatcherBench, type HandlerSpec, type TransactionUnderTest } from '../dispatcher-bench.js';

/** A table that fails, or takes its time, where it is told to. */
export class TroubledStore extends MemoryParkedStore {
  /** What the next calls of `park` throw. */
  readonly failures: Error[] = [];
  parks = 0;
  /** Before it is written, and before it is taken out. */
  parkGate: Deferred | null = null;
  handledGate: Deferred | null = null;
  /** After the keys have been read. */
  keysGate: Deferred | null = null;
  keysFailure: Error | null = null;

  override async park(request: ParkingRequest): Promise<ParkedKeys | null> {
    this.parks++;
    const failure = this.failures.shift();
    if (failure !== undefined) throw failure;
    await this.parkGate?.promise;
    return super.park(request);
  }

  override async keys(): Promise<ParkedKeys[]> {
    if (this.keysFailure !== null) throw this.keysFailure;
    const keys = await super.keys();
    await this.keysGate?.promise;
    return keys;
  }

  override async handled(id: string): Promise<void> {
    await this.handledGate?.promise;
    return super.handled(id);
  }

  /** What is parked, in the order of parking, as `handler: change`. */
  async texts(handler?: string): Promise<string[]> {
    const parked = await this.list(handler === undefined ? {} : { handler });
    return parked.map(({ change }) => textOf(change));
  }
}

/** A dispatcher whose handlers may park, with what tries again. */
export class ParkingBench extends DispatcherBench {
  declare readonly store: TroubledStore;
  readonly redriver: ParkedRedriver;
  isStreaming = true;

  constructor(handlers: readonly HandlerSpec[]) {
    super(handlers, { store: new TroubledStore() });
    const { dispatcher, store } = this;
    this.redriver = new ParkedRedriver({
      store,
      parking: dispatcher.parking,
      redrive: (parked) => dispatcher.redrive(parked),
      isStreaming: () => this.isStreaming,
      retryEveryMs: undefined,
      logger: { log: () => undefined, warn: () => undefined, error: () => undefined },
    });
  }

  /** A new connection, from the first change that is not handed over. */
  async reconnect(): Promise<void> {
    this.dispatcher.abort();
    this.dispatcher.hold();
    await this.dispatcher.open(streamOf(HISTORY));
  }

  /** One change in a transaction of its own. */
  update(lsn: number, from: number, to = from, table = 'orders'): TransactionUnderTest {
    const transaction = this.transaction(BigInt(lsn) * 0x100n);
    return transaction
      .hand(
        (relation, place) =>
          new Update(transaction.info, relation, place, { id: to }, from === to ? null : { id: from }, null, []),
        table,
      )
      .commit();
  }

  delete(lsn: number, id: number): TransactionUnderTest {
    const transaction = this.transaction(BigInt(lsn) * 0x100n);
    return transaction.hand((relation, place) => new Delete(transaction.info, relation, place, { id })).commit();
  }

  truncate(lsn: number, table = 'orders'): TransactionUnderTest {
    const transaction = this.transaction(BigInt(lsn) * 0x100n);
    return transaction
      .hand((relation, place) => new Truncate(transaction.info, relation, place, false, false), table)
      .commit();
  }
}

/** `update 1`, `update 1>2`, `truncate`; or the prefix of a message. */
export function textOf(payload: unknown): string {
  const change = payload as RowChange | { operation: undefined; prefix: string };
  switch (change.operation) {
    case undefined:
      return change.prefix;
    case 'truncate':
      return 'truncate';
    case 'delete':
      return `delete ${idIn(change.oldRecord)}`;
    case 'insert':
      return `insert ${idIn(change.record)}`;
    case 'update':
      return `update ${change.oldRecord === null ? '' : `${idIn(change.oldRecord)}>`}${idIn(change.record)}`;
  }
}

function idIn(row: unknown): string {
  return String((row as { id: number }).id);
}

/** A handler with the policy to park, that fails on what it is told to fail on. */
export class BrokenHandler {
  /** All calls, in order. */
  readonly seen: string[] = [];
  readonly broken = new Set<string>();
  /** What a call does besides. */
  onCall: () => unknown = () => undefined;
  readonly spec: HandlerSpec;

  constructor(more: Partial<HandlerSpec> = {}, ...broken: string[]) {
    for (const text of broken) this.broken.add(text);
    this.spec = {
      id: 'Orders.onChange',
      onExhausted: 'park',
      retry: { attempts: 1 },
      run: (payload: unknown) => {
        const text = textOf(payload);
        this.seen.push(text);
        if (this.broken.has(text)) throw new Error(`broken at ${text}`);
        return this.onCall();
      },
      ...more,
    };
  }
}
