import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Delete, Insert, Truncate, Update, type RowChange } from '#lib/changes/change.js';
import { TransactionInfo } from '#lib/changes/transaction.js';
import { keysOf } from '#lib/events/change-keys.js';
import { WHOLE_TABLE } from '#lib/interfaces/parked-store.interface.js';

type Row = Record<string, unknown>;

const TRANSACTION = new TransactionInfo('default', 1n, 1, new Date(0));
const ORDERS = { schema: 'public', table: 'orders' };
const PLACE = { walHigh: 0, walLow: 0, ordinal: 0, index: 0 };

const inserted = (record: Row) => new Insert(TRANSACTION, ORDERS, PLACE, record);
const deleted = (oldRecord: Row) => new Delete(TRANSACTION, ORDERS, PLACE, oldRecord);
const updated = (record: Row, oldRecord: Row | null, toast: string[] = []) =>
  new Update(TRANSACTION, ORDERS, PLACE, record, oldRecord, null, toast);
const truncated = () => new Truncate(TRANSACTION, ORDERS, PLACE, false, false);
const keys = (change: RowChange, ...columns: string[]) => keysOf(change, columns);

describe('the keys of a change', () => {
  it('are that of its row', () => {
    expect(keys(inserted({ id: 7, name: 'x' }), 'id')).toEqual(['7']);
    expect(keys(deleted({ id: 7 }), 'id')).toEqual(['7']);
    expect(keys(updated({ id: 7 }, null), 'id')).toEqual(['7']);
  });

  it('are one where the old row comes and its key has not changed, as under REPLICA IDENTITY FULL', () => {
    expect(keys(updated({ id: 7, name: 'new' }, { id: 7, name: 'old' }), 'id')).toEqual(['7']);
  });

  it('are two where the key changed, the old one first', () => {
    expect(keys(updated({ id: 8 }, { id: 7 }), 'id')).toEqual(['7', '8']);
    const [before, now] = keys(updated({ a: 1, b: 3 }, { a: 1, b: 2 }), 'a', 'b');
    expect([before, now]).toEqual([
      keys(inserted({ a: 1, b: 2 }), 'a', 'b')[0],
      keys(inserted({ a: 1, b: 3 }), 'a', 'b')[0],
    ]);
  });

  it('are those of the whole table where rows cannot be told apart', () => {
    expect(keysOf(inserted({ id: 7 }), null)).toEqual([WHOLE_TABLE]);
    expect(keys(truncated(), 'id')).toEqual([WHOLE_TABLE]);
    expect(keys(updated({ id: 7 }, { name: 'without the key' }), 'id')).toEqual([WHOLE_TABLE]);
    expect(keys(deleted({ name: 'without the key' }), 'id')).toEqual([WHOLE_TABLE]);
  });

  it('take what was not sent again, unchanged TOAST, from the old row, column by column', () => {
    const long = 'x'.repeat(3_000);
    const change = updated({ b: 2 }, { a: long, b: 1 }, ['a']);
    expect(keys(change, 'a', 'b')).toEqual([
      ...keys(inserted({ a: long, b: 1 }), 'a', 'b'),
      ...keys(inserted({ a: long, b: 2 }), 'a', 'b'),
    ]);
    expect(keys(updated({ n: 1 }, { a: long }, ['a']), 'a')).toEqual([long]);
    expect(keys(updated({ n: 1 }, null, ['a']), 'a')).toEqual([WHOLE_TABLE]);
  });

  it('are never the whole table by accident', () => {
    expect(keys(inserted({ id: WHOLE_TABLE }), 'id')).not.toContain(WHOLE_TABLE);
    expect(keys(inserted({ a: WHOLE_TABLE, b: WHOLE_TABLE }), 'a', 'b')).not.toContain(WHOLE_TABLE);
  });

  it('do not mix columns up', () => {
    expect(keys(inserted({ a: 'x', b: 'y' }), 'a', 'b')).not.toEqual(keys(inserted({ a: 'y', b: 'x' }), 'a', 'b'));
    expect(keys(inserted({ a: 'x,', b: '' }), 'a', 'b')).not.toEqual(keys(inserted({ a: 'x', b: ',' }), 'a', 'b'));
  });

  it('are those of the whole table for values that have no text', () => {
    const circle: Row = {};
    circle['self'] = circle;
    for (const value of [circle, Symbol('s'), () => 1, { toJSON: () => undefined }, undefined, null]) {
      expect(keys(inserted({ id: value }), 'id')).toEqual([WHOLE_TABLE]);
      expect(keys(inserted({ a: 1, id: value }), 'a', 'id')).toEqual([WHOLE_TABLE]);
    }
  });

  const value = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.integer(),
    fc.bigInt(),
    fc.boolean(),
    fc.date({ noInvalidDate: false }),
    fc.uint8Array().map((bytes) => Buffer.from(bytes)),
    fc.array(fc.integer()),
    fc.constant(WHOLE_TABLE),
  );

  it('are equal where rows are equal, whatever brings them', () => {
    fc.assert(
      fc.property(fc.array(value, { minLength: 1, maxLength: 3 }), fc.string(), (values, other) => {
        const columns = values.map((_, index) => `k${index}`);
        const row = (more: Row): Row => ({
          ...Object.fromEntries(columns.map((name, index) => [name, structuredCopy(values[index])])),
          ...more,
        });
        const [key] = keys(inserted(row({ other })), ...columns);
        expect(key).not.toBe(WHOLE_TABLE);
        for (const change of [
          deleted(row({})),
          updated(row({ other: 'new' }), null),
          updated(row({ other: 'new' }), row({ other })),
        ]) {
          expect(keys(change, ...columns)).toEqual([key]);
        }
      }),
    );
  });

  it('are others where strings are others', () => {
    const texts = fc.array(fc.string(), { minLength: 2, maxLength: 2 });
    fc.assert(
      fc.property(texts, texts, (one, other) => {
        fc.pre(one.join('\0') !== other.join('\0'));
        const keyOf = ([a, b]: string[]) => keys(inserted({ a, b }), 'a', 'b')[0];
        expect(keyOf(one)).not.toBe(keyOf(other));
      }),
    );
  });
});

/** The same value, another object, as it is with each change. */
function structuredCopy(value: unknown): unknown {
  return Buffer.isBuffer(value) ? Buffer.from(value) : structuredClone(value);
}
