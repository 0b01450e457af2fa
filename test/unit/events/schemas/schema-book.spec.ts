import { describe, expect, it } from '@jest/globals';
import { TableDescription } from '#lib/changes/schema-change.js';
import { TransactionInfo } from '#lib/changes/transaction.js';
import { SlotInUseError } from '#lib/errors/replication.error.js';
import { SchemaBook } from '#lib/events/schemas/schema-book.js';
import type { EffectPlace, StreamHistory } from '#lib/interfaces/effects-store.interface.js';
import type { TableShape } from '#lib/interfaces/schema-change.interface.js';
import type { KnownShape, SchemaStore } from '#lib/interfaces/schema-store.interface.js';
import { HISTORY } from '../../../support/history.js';
import { turns } from '../../waiting.js';
import { Deferred, DispatcherBench, idOf, runnerOf } from '../dispatcher-bench.js';

/** What a database would keep. */
class MemorySchemaStore implements SchemaStore {
  readonly known: KnownShape[] = [];
  loads = 0;
  /** Runs while a load is under way. */
  meanwhile: (() => Promise<void>) | undefined;
  refusal: Error | undefined;

  async load(): Promise<readonly KnownShape[]> {
    this.loads++;
    const known = [...this.known];
    const { meanwhile } = this;
    this.meanwhile = undefined;
    await meanwhile?.();
    return known;
  }
  async record(shape: TableShape, since: EffectPlace): Promise<void> {
    if (this.refusal !== undefined) throw this.refusal;
    this.known.push({ shape, since });
  }
  async close(): Promise<void> {}
}

const shape = (columns: string, more: Partial<TableShape> = {}): TableShape => ({
  oid: 1,
  schema: 'public',
  table: 't',
  replicaIdentity: 'default',
  columns: columns.split('').map((name) => ({ name, typeOid: 23, typeName: null, typeModifier: -1, isKey: false })),
  ...more,
});

function described(commitLsn: bigint, of: TableShape, history: StreamHistory = HISTORY, ordinal = 0): TableDescription {
  const transaction = new TransactionInfo('default', commitLsn, 700, new Date(0), history);
  return new TableDescription(transaction, { walHigh: 0, walLow: Number(commitLsn) - 8, ordinal }, of);
}

function bookOf(store: SchemaStore | null, tables = ['t'], superseded: Error[] = []): SchemaBook {
  const runner = runnerOf({ kind: 'schema', id: 'Handlers.schema', tables, run: () => undefined });
  return new SchemaBook([runner], store, (error) => superseded.push(error));
}

async function tell(book: SchemaBook, description: TableDescription): Promise<string[] | 'first' | null> {
  const news = book.newsOf(description);
  if (news === null) return null;
  await book.settled(description);
  return news.change?.differences.map(({ kind }) => kind) ?? 'first';
}

describe('a dispatcher', () => {
  it('asks for descriptions where a handler wants them only', () => {
    const kinds = [['table'], ['table', 'schema']] as const;
    const watching = kinds.map((each) => {
      const specs = each.map((kind) => ({ kind, id: kind, run: () => undefined }));
      return new DispatcherBench(specs).dispatcher.watchesSchemas;
    });
    expect(watching).toEqual([false, true]);
  });

  it('holds rows and the position until a change of schema has settled; gives none twice after a lost connection', async () => {
    const seen: string[] = [];
    const wait = new Deferred();
    const bench = new DispatcherBench(
      [
        { id: 'rows', run: (change) => void seen.push(String(idOf(change))) },
        {
          kind: 'schema',
          id: 'schema',
          run: ({ differences }: { differences: { kind: string }[] }) => {
            seen.push(differences.map(({ kind }) => kind).join());
            return wait.promise;
          },
        },
      ],
      { schemaStore: new MemorySchemaStore() },
    );
    const [before, after] = [shape('a', { table: 'orders' }), shape('ab', { table: 'orders' })];
    bench.transaction(0x100n).describe(before).change(1).commit();
    await turns();
    const altered = bench.transaction(0x200n).describe(after).change(2).commit();
    await turns();
    bench.dispatcher.abort();
    const again = bench.transaction(0x200n).describe(after).change(2).commit();
    await turns();
    expect([seen, altered.settled, again.settled]).toEqual([['1', 'column-added'], 0, 0]);
    wait.resolve();
    await turns();
    expect([seen, altered.settled, again.settled]).toEqual([['1', 'column-added', '2'], 0, 1]);
    expect(bench.dispatcher.queue.pendingChanges).toBe(0);
  });
});

describe('SchemaBook', () => {
  it('takes the first sight of a table for no change, and then tells each change once', async () => {
    const book = bookOf(null);
    expect(await tell(book, described(0x100n, shape('ab')))).toBe('first');
    expect(await tell(book, described(0x200n, shape('ab')))).toBeNull();
    expect(await tell(book, described(0x300n, shape('abc')))).toEqual(['column-added']);
    expect(await tell(book, described(0x400n, shape('abc')))).toBeNull();
  });

  it('has nothing to do with tables that nobody asks about', async () => {
    const book = bookOf(null);
    expect(await tell(book, described(0x100n, shape('a', { table: 'u', oid: 2 })))).toBeNull();
    expect(await tell(book, described(0x200n, shape('ab', { table: 'u', oid: 2 })))).toBeNull();
  });

  it('does not take what comes again from before for a change back', async () => {
    const store = new MemorySchemaStore();
    const book = bookOf(store);
    for (const [lsn, columns] of [
      [0x100n, 'ab'],
      [0x200n, 'abc'],
      [0x300n, 'ac'],
    ] as const) {
      await tell(book, described(lsn, shape(columns)));
    }
    const next = bookOf(store);
    await next.open(HISTORY);
    expect(await tell(next, described(0x100n, shape('ab')))).toBeNull();
    expect(await tell(next, described(0x200n, shape('abc')))).toBeNull();
    expect(await tell(next, described(0x300n, shape('ac')))).toBeNull();
    expect(await tell(next, described(0x300n, shape('a'), HISTORY, 1))).toEqual(['column-removed']);
    // In another log, positions say nothing.
    expect(await tell(next, described(0x80n, shape('ab'), { ...HISTORY }))).toEqual(['column-added']);
  });

  it('does not take the old name, coming again, for a name that was given back', async () => {
    const book = bookOf(null);
    await tell(book, described(0x100n, shape('a')));
    expect(await tell(book, described(0x200n, shape('a', { table: 'u' })))).toEqual(['table-renamed']);
    expect(await tell(book, described(0x100n, shape('a')))).toBeNull();
    expect(await tell(book, described(0x300n, shape('a')))).toEqual(['table-renamed']);
  });

  it.each([['renamed one first'], ['new one first']])('tells a table made anew under a name: %s', async (order) => {
    const book = bookOf(null, ['*']);
    await tell(book, described(0x100n, shape('a')));
    const renamed = shape('a', { table: 't_old' });
    const fresh = shape('ab', { oid: 2 });
    const isRenamedFirst = order.startsWith('renamed');
    const [one, two] = isRenamedFirst ? [renamed, fresh] : [fresh, renamed];
    const told = [await tell(book, described(0x200n, one)), await tell(book, described(0x300n, two))];
    if (!isRenamedFirst) told.reverse();
    expect(told).toEqual([['table-renamed'], ['table-recreated', 'column-added']]);
  });

  it('knows nothing before it is recorded, and gives way to whoever has taken over', async () => {
    const store = new MemorySchemaStore();
    const superseded: Error[] = [];
    const book = bookOf(store, ['t'], superseded);
    await tell(book, described(0x100n, shape('a')));
    store.refusal = new Error('no disk');
    const altered = described(0x200n, shape('ab'));
    await expect(book.settled(altered)).rejects.toThrow('no disk');
    expect(book.newsOf(altered)?.change).not.toBeNull();
    expect(superseded).toEqual([]);
    store.refusal = new SlotInUseError('taken over', { app: 'default' });
    await expect(book.settled(altered)).rejects.toThrow('taken over');
    expect(superseded).toHaveLength(1);
    expect(book.newsOf(altered)).not.toBeNull();
  });

  it('loads again where something was learnt while it loaded', async () => {
    const store = new MemorySchemaStore();
    const book = bookOf(store);
    await tell(book, described(0x100n, shape('a')));
    const altered = described(0x200n, shape('ab'));
    store.meanwhile = () => book.settled(altered);
    await book.open(HISTORY);
    expect(store.loads).toBe(2);
    expect(book.newsOf(altered)).toBeNull();
    expect(book.newsOf(described(0x300n, shape('ab')))).toBeNull();
  });
});
