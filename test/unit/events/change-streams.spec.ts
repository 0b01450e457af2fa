import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { config, map } from 'rxjs';
import { Delete, Insert, type RowChange } from '#lib/changes/change.js';
import { TablePattern } from '#lib/changes/table-pattern.js';
import { CommittedTransaction, TransactionInfo, TransactionTally } from '#lib/changes/transaction.js';
import { ALL_OPERATIONS, ChangeStreams } from '#lib/events/change-streams.js';
import { turns } from '../waiting.js';

const INFO = new TransactionInfo('default', 0x100n, 1, new Date(0));
let nextIndex = 0;
let streams: ChangeStreams;

function emit(table: string, Kind: typeof Insert | typeof Delete = Insert): RowChange {
  const place = { walHigh: 0, walLow: 0, ordinal: 0, index: nextIndex++ };
  const change = new Kind(INFO, { schema: 'public', table }, place, {});
  streams.emit(change, streams.watchesOf('public', table));
  return change;
}

function collect(tables: string[], mask: number = ALL_OPERATIONS) {
  const seen: unknown[] = [];
  const state = { seen, isComplete: false };
  const subscription = streams.changes(new TablePattern(tables), mask).subscribe({
    next: (change) => seen.push(change),
    complete: () => (state.isComplete = true),
  });
  return Object.assign(state, { subscription });
}

beforeEach(() => {
  streams = new ChangeStreams();
});
afterEach(() => {
  config.onUnhandledError = null;
});

describe('an observable of changes', () => {
  it('is hot and does not replay: who comes late has missed what was', () => {
    emit('orders');
    const early = collect(['orders']);
    const first = emit('orders');
    const late = collect(['orders']);
    const second = emit('orders');
    expect(early.seen).toEqual([first, second]);
    expect(late.seen).toEqual([second]);
  });

  it('brings the tables and operations that were asked for, and no others', () => {
    const orders = collect(['orders'], 4);
    const all = collect(['*', '!items']);
    const [insert, deletion] = [emit('orders'), emit('orders', Delete)];
    emit('items');
    expect(orders.seen).toEqual([deletion]);
    expect(all.seen).toEqual([insert, deletion]);
  });

  it('can be subscribed to more than once, and brings nothing to those who left', () => {
    const source = streams.changes(new TablePattern(['orders']), ALL_OPERATIONS);
    const counts = [0, 0];
    const first = source.subscribe(() => counts[0]!++);
    source.subscribe(() => counts[1]!++);
    emit('orders');
    first.unsubscribe();
    emit('orders');
    expect(counts).toEqual([1, 2]);
  });

  it('completes when the application closes, also for those who come later', () => {
    const before = collect(['*']);
    streams.close();
    const after = collect(['*']);
    expect([before.isComplete, after.isComplete]).toEqual([true, true]);
    expect(streams.watchesOf('public', 'orders')).toEqual([]);
  });

  it('may be left, joined or closed by a subscriber while a change is shown', () => {
    const late: unknown[] = [];
    let left: { unsubscribe(): void } | undefined = undefined as { unsubscribe(): void } | undefined;
    const source = streams.changes(new TablePattern(['*']), ALL_OPERATIONS);
    source.subscribe(() => {
      left?.unsubscribe();
      source.subscribe((change) => late.push(change));
    });
    const seen: unknown[] = [];
    left = source.subscribe((change) => seen.push(change));
    emit('orders');
    expect(seen).toEqual([]);
    const second = emit('orders');
    expect(late).toEqual([second]);
    source.subscribe(() => streams.close());
    expect(() => emit('orders')).not.toThrow();
  });

  it('does not take an error of one subscriber to another, nor to the emitter', async () => {
    const uncaught: unknown[] = [];
    config.onUnhandledError = (error) => uncaught.push(error);
    const fault = new Error('an observer of the user');
    const raise = (): never => {
      throw fault;
    };
    const source = streams.changes(new TablePattern(['*']), ALL_OPERATIONS);
    source.subscribe(raise);
    const inPipe: unknown[] = [];
    source.pipe(map(raise)).subscribe({ error: (error) => inPipe.push(error) });
    const seen = collect(['*']);
    expect(() => [emit('orders'), emit('orders')]).not.toThrow();
    expect(seen.seen).toHaveLength(2);
    // A broken pipe is closed; a subscriber whose own function throws stays.
    expect(inPipe).toEqual([fault]);
    await turns();
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(uncaught).toEqual([fault, fault]);
  });

  it('tells when interest comes and goes', () => {
    let told = 0;
    streams.onInterest = () => told++;
    const { subscription } = collect(['orders']);
    expect(told).toBe(1);
    expect(streams.watchesOf('public', 'orders')).toHaveLength(1);
    subscription.unsubscribe();
    expect(told).toBe(2);
    expect(streams.watchesOf('public', 'orders')).toEqual([]);
  });
});

describe('the observable of transactions', () => {
  const transaction = new CommittedTransaction(INFO, new TransactionTally());

  it('is hot, and completes when the application closes', () => {
    streams.emitTransaction(transaction);
    const seen: unknown[] = [];
    let isComplete = false;
    streams.transactions().subscribe({ next: (each) => seen.push(each), complete: () => (isComplete = true) });
    streams.emitTransaction(transaction);
    expect(seen).toEqual([transaction]);
    expect(isComplete).toBe(false);
    streams.close();
    expect(isComplete).toBe(true);
    let isCompleteLater = false;
    streams.transactions().subscribe({ complete: () => (isCompleteLater = true) });
    expect(isCompleteLater).toBe(true);
  });

  it('says whether anybody watches', () => {
    expect(streams.watchesTransactions).toBe(false);
    const subscription = streams.transactions().subscribe();
    expect(streams.watchesTransactions).toBe(true);
    subscription.unsubscribe();
    expect(streams.watchesTransactions).toBe(false);
  });

  it('cannot be fed or ended by who watches', () => {
    expect(streams.transactions()).not.toHaveProperty('next');
    expect(streams.changes(new TablePattern(['*']), 15)).not.toHaveProperty('next');
  });
});
