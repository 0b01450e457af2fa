import { beforeAll, describe, expect, it } from '@jest/globals';
import { Delete, Insert, Truncate, Update } from '#lib/changes/change.js';
import { changesOf, hasDelete, hasInsert, hasTruncate, hasUpdate } from '#lib/changes/transaction-filter.js';
import { CommittedTransaction, TransactionTally } from '#lib/changes/transaction.js';
import type { Transaction } from '#lib/interfaces/transaction.interface.js';
import { asynchronously, ITEMS, ORDERS, placeAt, transactionAt } from './samples.js';

let transaction: Transaction;

beforeAll(() => {
  const info = transactionAt(0x80n);
  const changes = [
    new Insert(info, ORDERS, placeAt(0), { id: 1 }),
    new Update(info, ITEMS, placeAt(1), { id: 2 }, null, null, []),
    new Insert(info, ITEMS, placeAt(2), { id: 3 }),
    new Insert(info, ORDERS, placeAt(3), { id: 4 }),
    new Delete(info, ORDERS, placeAt(4), { id: 1 }),
    new Truncate(info, { schema: 'shop', table: 'log' }, placeAt(5), false, false),
  ];
  const tally = new TransactionTally();
  for (const change of changes) tally.add(change.relation, change.operation);
  transaction = new CommittedTransaction(info, tally).withChanges(asynchronously(changes));
});

async function indexesOf(...filter: [tables: string | string[], operation?: 'insert' | 'delete' | 'update']) {
  const indexes: number[] = [];
  for await (const change of changesOf(transaction, ...filter)) indexes.push(change.index);
  return indexes;
}

describe('the transaction filter', () => {
  it.each([
    ['hasInsert', hasInsert, ['orders', 'shop.items'], ['shop.log', 'items']],
    ['hasUpdate', hasUpdate, ['shop.items'], ['orders']],
    ['hasDelete', hasDelete, ['orders', 'public.orders'], ['shop.items']],
    ['hasTruncate', hasTruncate, ['shop.log'], ['orders']],
  ])('%s tells whether there was one, anywhere or in a table', (_name, has, there, absent) => {
    expect(has(transaction)).toBe(true);
    for (const table of there) expect(has(transaction, table)).toBe(true);
    for (const table of absent) expect(has(transaction, table)).toBe(false);
  });

  it('finds nothing in a transaction without changes', () => {
    const empty = new CommittedTransaction(transactionAt(1n), new TransactionTally());
    expect([hasInsert, hasUpdate, hasDelete, hasTruncate].map((has) => has(empty))).toEqual([
      false,
      false,
      false,
      false,
    ]);
  });

  it('gives the changes of a table in order, of every operation or of one', async () => {
    expect(await indexesOf('orders')).toEqual([0, 3, 4]);
    expect(await indexesOf('orders', 'insert')).toEqual([0, 3]);
    expect(await indexesOf('shop.items', 'delete')).toEqual([]);
  });

  it('takes the patterns of a handler', async () => {
    expect(await indexesOf('*', 'insert')).toEqual([0, 2, 3]);
    expect(await indexesOf(['*', '!orders'])).toEqual([1, 2, 5]);
    expect(await indexesOf('shop.*')).toEqual([1, 2, 5]);
  });
});
