import { WHOLE_TABLE } from '../../interfaces/parked-store.interface.js';

/** Something to do that shares keys with other things to do. One object serves one life in the scheduler. */
export interface Scheduled {
  readonly table: string;
  readonly keys: readonly string[];
  /** @internal Things that must be finished first. */
  blockers: number;
  /** @internal What waits for this one. */
  dependents: Scheduled[] | null;
  /** @internal Where those who come find it, while they have to wait for it. */
  tail: Tail<Scheduled> | null;
}

/** Empty where it is finished: what is left of it must not keep a row in memory. */
interface Tail<T> {
  item: T | null;
}

interface TableKeys<T> {
  /** The last one that was added, by key; of one that came after `whole`. */
  tails: Map<string, Tail<T>>;
  /** Finished since `tails` was made. */
  finished: number;
  /** The last one of the whole table. */
  whole: T | null;
}

/** Finished ones are taken out of a table's map so many at a time, and make up half of it at most. */
const SWEEP = 256;

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
  /** What was taken leaves a gap, and not itself. */
  private ready: (T | undefined)[] = [];
  private head = 0;
  /** Added and not taken. */
  waiting = 0;

  get hasReady(): boolean {
    return this.head < this.ready.length;
  }

  add(item: T): void {
    this.waiting++;
    const table = this.tableOf(item.table);
    const { keys } = item;
    if (keys.includes(WHOLE_TABLE)) {
      waitFor(item, table.whole);
      for (const tail of table.tails.values()) waitFor(item, tail.item);
      table.tails = new Map();
      table.whole = item;
    } else {
      for (const key of keys) waitFor(item, table.tails.get(key)?.item ?? table.whole);
      const tail = { item };
      item.tail = tail;
      for (const key of keys) table.tails.set(key, tail);
    }
    if (item.blockers === 0) this.ready.push(item);
  }

  /**
   * Up to `size`, oldest first. What waits for nothing but others of the same bunch comes along, behind them: within it
   * the order of each key is that of adding.
   */
  take(size: number): T[] {
    if (size === 1) {
      if (!this.hasReady) return [];
      this.waiting--;
      return [this.shift()];
    }
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
      const { dependents } = item;
      if (dependents === null) continue;
      for (const dependent of dependents as T[]) {
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

  private tableOf(name: string): TableKeys<T> {
    let table = this.tables.get(name);
    if (table === undefined) this.tables.set(name, (table = { tails: new Map(), finished: 0, whole: null }));
    return table;
  }

  /** Nobody who comes has to wait for it. */
  private forget(item: T): void {
    if (item.tail !== null) item.tail.item = null;
    const table = this.tables.get(item.table);
    if (table === undefined) return;
    if (table.whole === item) table.whole = null;
    if (++table.finished >= SWEEP && table.finished * 2 >= table.tails.size) this.sweep(table);
  }

  /**
   * A new map instead of deletions: a Map that is added to and deleted from all the time is laid out anew again and again,
   * each layout refers to the next, and once an old one has reached V8's old space, all of them live until a full collection.
   */
  private sweep(table: TableKeys<T>): void {
    const left = [...table.tails].filter(([, tail]) => tail.item !== null);
    table.tails = new Map(left);
    table.finished = 0;
  }

  private shift(): T {
    const item = this.ready[this.head]!;
    this.ready[this.head++] = undefined;
    if (this.head === this.ready.length) {
      this.ready.length = this.head = 0;
    } else if (this.head > 1024 && this.head * 2 > this.ready.length) {
      this.ready = this.ready.slice(this.head);
      this.head = 0;
    }
    return item;
  }
}

/** Once for each, however many keys they share: what was added last is the last of its blocker's dependents. */
function waitFor(item: Scheduled, blocker: Scheduled | null): void {
  if (blocker === null || blocker.dependents?.at(-1) === item) return;
  item.blockers++;
  (blocker.dependents ??= []).push(item);
}
