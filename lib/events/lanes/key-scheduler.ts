import { WHOLE_TABLE } from '../../interfaces/parked-store.interface.js';

/** Something to do that shares keys with other things to do. One object serves one life in the scheduler. */
export interface Scheduled {
  readonly table: string;
  readonly keys: readonly string[];
  /** @internal Things that must be finished first. */
  blockers: number;
  /** @internal What waits for this one. */
  dependents: Scheduled[] | null;
}

interface TableKeys<T> {
  /** The last one that was added, by key; of one that came after `whole`. */
  readonly tails: Map<string, T>;
  /** The last one of the whole table. */
  whole: T | null;
}

/**
 * Who may run side by side: what shares a key runs in the order of adding, everything else in any. What is of the
 * `WHOLE_TABLE` waits for everything of its table that came before it, and everything that comes after waits for it.
 *
 * | event | effect |
 * |---|---|
 * | add | ready, where nothing unfinished that was added before shares a key; else it waits for those |
 * | take | the oldest ready ones are the caller's; they keep their keys |
 * | finish | keys are free; whoever waited for nothing else becomes ready |
 *
 * Pure: no clock, no promise.
 */
export class KeyScheduler<T extends Scheduled> {
  private readonly tables = new Map<string, TableKeys<T>>();
  private ready: T[] = [];
  private head = 0;
  /** Added and not taken. */
  waiting = 0;

  get hasReady(): boolean {
    return this.head < this.ready.length;
  }

  add(item: T): void {
    this.waiting++;
    const table = this.tableOf(item.table);
    for (const blocker of this.blockersOf(item, table)) {
      item.blockers++;
      (blocker.dependents ??= []).push(item);
    }
    if (item.keys.includes(WHOLE_TABLE)) {
      table.tails.clear();
      table.whole = item;
    } else {
      for (const key of item.keys) table.tails.set(key, item);
    }
    if (item.blockers === 0) this.ready.push(item);
  }

  /**
   * Up to `size`, oldest first. What waits for nothing but others of the same bunch comes along, behind them: within it
   * the order of each key is that of adding.
   */
  take(size: number): T[] {
    const bunch: T[] = [];
    const freed = new Map<Scheduled, number>();
    while (bunch.length < size && this.hasReady) {
      this.collect(this.shift(), size, bunch, freed);
    }
    this.waiting -= bunch.length;
    return bunch;
  }

  /** Whether `take` would give as many as that: what waits for others that run does not count. */
  fills(size: number): boolean {
    if (this.waiting < size) return false;
    const bunch: T[] = [];
    const freed = new Map<Scheduled, number>();
    for (let next = this.head; next < this.ready.length && bunch.length < size; next++) {
      this.collect(this.ready[next]!, size, bunch, freed);
    }
    return bunch.length === size;
  }

  /** All that `take` gave together, at once: order within a bunch is its taker's business. */
  finish(bunch: readonly T[]): void {
    const mine = bunch.length > 1 ? new Set<Scheduled>(bunch) : null;
    for (const item of bunch) {
      this.forget(item);
      for (const dependent of (item.dependents ?? []) as T[]) {
        if (--dependent.blockers === 0 && mine?.has(dependent) !== true) this.ready.push(dependent);
      }
      item.dependents = null;
    }
  }

  clear(): void {
    this.tables.clear();
    this.ready = [];
    this.head = this.waiting = 0;
  }

  private collect(first: T, size: number, bunch: T[], freed: Map<Scheduled, number>): void {
    const follow: T[] = [first];
    for (let next = 0; next < follow.length && bunch.length < size; next++) {
      const item = follow[next]!;
      bunch.push(item);
      if (bunch.length === size) return;
      for (const dependent of (item.dependents ?? []) as T[]) {
        const count = (freed.get(dependent) ?? 0) + 1;
        freed.set(dependent, count);
        if (count === dependent.blockers) follow.push(dependent);
      }
    }
  }

  private blockersOf(item: T, table: TableKeys<T>): Iterable<T> {
    if (item.keys.includes(WHOLE_TABLE)) {
      const all = new Set(table.tails.values());
      if (table.whole !== null) all.add(table.whole);
      return all;
    }
    const blockers = new Set<T>();
    for (const key of item.keys) {
      const tail = table.tails.get(key) ?? table.whole;
      if (tail !== null) blockers.add(tail);
    }
    return blockers;
  }

  private tableOf(name: string): TableKeys<T> {
    let table = this.tables.get(name);
    if (table === undefined) this.tables.set(name, (table = { tails: new Map(), whole: null }));
    return table;
  }

  /** Finished: nobody who comes has to wait for it. */
  private forget(item: T): void {
    const table = this.tables.get(item.table);
    if (table === undefined) return;
    for (const key of item.keys) if (table.tails.get(key) === item) table.tails.delete(key);
    if (table.whole === item) table.whole = null;
  }

  private shift(): T {
    const item = this.ready[this.head++]!;
    if (this.head === this.ready.length) {
      this.ready.length = this.head = 0;
    } else if (this.head > 1024 && this.head * 2 > this.ready.length) {
      this.ready = this.ready.slice(this.head);
      this.head = 0;
    }
    return item;
  }
}
