import { inspect } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Insert } from '#lib/changes/change.js';
import { CommittedTransaction, TransactionTally } from '#lib/changes/transaction.js';
import { SOME_TIME } from '../../support/pgoutput-encoder.js';
import { asynchronously, ITEMS, ORDERS, placeAt, transactionAt } from './samples.js';

describe('the tally of a transaction', () => {
  it('counts by table and operation, over all or one of either', () => {
    const tally = new TransactionTally();
    tally.add(ORDERS, 'insert');
    tally.add(ORDERS, 'insert');
    tally.add(ITEMS, 'delete');
    tally.add(ORDERS, 'update');
    tally.add(ITEMS, 'insert');
    tally.add(ITEMS, 'truncate');
    expect(tally.size).toBe(6);
    expect(tally.count()).toBe(6);
    expect(tally.count('orders')).toBe(3);
    expect(tally.count('public.orders', 'insert')).toBe(2);
    expect(tally.count('shop.items')).toBe(3);
    expect(tally.count(undefined, 'insert')).toBe(3);
    expect(tally.count('shop.items', 'update')).toBe(0);
    expect(tally.count('nowhere')).toBe(0);
  });

  it('takes a table that was described anew in between for the same table', () => {
    const tally = new TransactionTally();
    tally.add(ORDERS, 'insert');
    tally.add({ ...ORDERS }, 'insert');
    expect(tally.count('orders', 'insert')).toBe(2);
  });

  it('counts as a list of everything would', () => {
    const tables = [ORDERS, ITEMS, { schema: 'public', table: 'Orders' }];
    const operations = ['insert', 'update', 'delete', 'truncate'] as const;
    const entry = fc.record({ table: fc.constantFrom(...tables), operation: fc.constantFrom(...operations) });
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 40 }), (entries) => {
        const tally = new TransactionTally();
        for (const { table, operation } of entries) tally.add(table, operation);
        for (const operation of [undefined, ...operations]) {
          const fits = entries.filter((each) => operation === undefined || each.operation === operation);
          expect(tally.count(undefined, operation)).toBe(fits.length);
          expect(tally.count('orders', operation)).toBe(fits.filter((each) => each.table === ORDERS).length);
        }
      }),
    );
  });

  it('refuses a pattern where a table is wanted', () => {
    expect(() => new TransactionTally().count('shop.*')).toThrow('is a pattern');
  });
});

describe('a transaction', () => {
  it('shows what it says when its context is printed', () => {
    const info = transactionAt(0x1_0000_0080n);
    info.origin = 'elsewhere';
    expect(inspect(info)).toBe(inspect({ lsn: '1/80', xid: 733, commitTimestamp: SOME_TIME, origin: 'elsewhere' }));
  });

  it('that is committed tells who, where, when and how much', () => {
    const tally = new TransactionTally();
    tally.add(ORDERS, 'insert');
    const transaction = new CommittedTransaction(transactionAt(0x80n, 'billing'), tally);
    const { app, lsn, xid, commitTimestamp, origin, size } = transaction;
    expect({ app, lsn, xid, commitTimestamp, origin, size }).toEqual({
      app: 'billing',
      lsn: '0/80',
      xid: 733,
      commitTimestamp: SOME_TIME,
      origin: null,
      size: 1,
    });
    expect(transaction.count('orders', 'insert')).toBe(1);
  });

  it('gives its changes in order, as often as it is asked', async () => {
    const info = transactionAt(0x80n);
    const changes = [0, 1, 2].map((index) => new Insert(info, ORDERS, placeAt(index), { id: index }));
    const whole = new CommittedTransaction(info, new TransactionTally()).withChanges(asynchronously(changes));
    for (let round = 0; round < 2; round++) {
      const seen: unknown[] = [];
      for await (const change of whole.changes) seen.push(change);
      expect(seen).toEqual(changes);
    }
  });
});
