import { inspect } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { asChange, Delete, Insert, Truncate, Update } from '#lib/changes/change.js';
import { SOME_TIME } from '../../support/pgoutput-encoder.js';
import { ORDERS, placeAt, transactionAt } from './samples.js';

const HEAD = {
  app: 'billing',
  schema: 'public',
  table: 'orders',
  id: '16/B374D848/3',
  lsn: '16/B374D848',
  index: 3,
  xid: 733,
  commitTimestamp: SOME_TIME,
};
const TRANSACTION = transactionAt(0x16_b374d848n, 'billing');

function insertOf(record: Record<string, unknown>): Insert {
  return new Insert(TRANSACTION, ORDERS, placeAt(3), record);
}

const EACH = {
  insert: { change: insertOf({ id: 1 }), body: { record: { id: 1 } } },
  update: {
    change: new Update(TRANSACTION, ORDERS, placeAt(3), { id: 1 }, { id: 2 }, ['id'], ['big']),
    body: { record: { id: 1 }, oldRecord: { id: 2 }, changedColumns: ['id'], unchangedToast: ['big'], rereadToast: [] },
  },
  delete: { change: new Delete(TRANSACTION, ORDERS, placeAt(3), { id: 1 }), body: { oldRecord: { id: 1 } } },
  truncate: {
    change: new Truncate(TRANSACTION, ORDERS, placeAt(3), true, false),
    body: { cascade: true, restartIdentity: false },
  },
};

describe.each(Object.entries(EACH))('a change of operation %s', (operation, { change, body }) => {
  it('has all fields of the contract, told by its instance', () => {
    expect(asChange(change)).toMatchObject({ ...HEAD, ...body, operation });
  });

  it('becomes a plain copy of exactly these fields', () => {
    expect(change.toJSON()).toStrictEqual({ ...HEAD, ...body, operation });
  });

  it('shows these fields and nothing of how it is kept when it is printed', () => {
    const printed = inspect(change, { depth: 5 });
    expect(printed).toMatch(new RegExp(`^${operation}`, 'i'));
    for (const field of [...Object.keys(HEAD), ...Object.keys(body), 'operation']) expect(printed).toContain(field);
    for (const inner of ['walHigh', 'walLow', 'ordinal', 'transaction', 'relation']) {
      expect(printed).not.toContain(inner);
    }
  });

  it('shows the same inside of another object', () => {
    expect(inspect({ change }, { depth: 5 })).toContain("id: '16/B374D848/3'");
  });
});

describe('the JSON of a change', () => {
  it('has dates as ISO text, by JSON itself', () => {
    const at = new Date('2026-01-02T03:04:05.678Z');
    const change = insertOf({ at });
    expect((change.toJSON()['record'] as { at: Date }).at).toEqual(at);
    expect(JSON.parse(JSON.stringify(change))).toMatchObject({
      commitTimestamp: SOME_TIME.toISOString(),
      record: { at: '2026-01-02T03:04:05.678Z' },
    });
  });

  it('has bigint as text, however deep it lies in plain objects and arrays', () => {
    const change = insertOf({ id: 2n ** 63n, list: [1n, [2n]], nested: { inner: { value: -3n } } });
    expect(change.toJSON()['record']).toEqual({
      id: '9223372036854775808',
      list: ['1', ['2']],
      nested: { inner: { value: '-3' } },
    });
    expect(() => JSON.stringify(change)).not.toThrow();
  });

  it('leaves values that are no plain objects to their own toJSON', () => {
    const raw = Buffer.from([1, 2]);
    class Money {
      constructor(readonly cents: number) {}
      toJSON(): string {
        return `${this.cents} cents`;
      }
    }
    const price = new Money(5);
    const { record } = insertOf({ raw, price }).toJSON() as { record: Record<string, unknown> };
    expect(record['raw']).toBe(raw);
    expect(record['price']).toBe(price);
    expect(JSON.parse(JSON.stringify(insertOf({ price })))).toMatchObject({ record: { price: '5 cents' } });
  });

  it('tells null, a value and a missing column apart', () => {
    const update = new Update(TRANSACTION, ORDERS, placeAt(0), { a: null, b: '' }, null, null, ['c']);
    expect(JSON.parse(JSON.stringify(update))).toMatchObject({ oldRecord: null, changedColumns: null });
    expect(update.toJSON()['record']).toStrictEqual({ a: null, b: '' });
  });

  it('keeps a column called __proto__ as a column', () => {
    const record = JSON.parse('{"__proto__": 1, "id": 2}') as Record<string, unknown>;
    expect(JSON.stringify(insertOf(record).toJSON()['record'])).toBe('{"__proto__":1,"id":2}');
  });

  it('is a copy: who changes it changes nothing for the next handler', () => {
    const change = insertOf({ tags: ['a'], data: { x: 1 } });
    const copy = change.toJSON() as { record: { tags: string[]; data: { x: number } } };
    copy.record.tags.push('b');
    copy.record.data.x = 2;
    expect(change.record).toEqual({ tags: ['a'], data: { x: 1 } });
  });
});

describe('the identity of a change', () => {
  it('is the LSN of the commit and the place in the transaction', () => {
    const change = new Insert(transactionAt(0x1_0000_0000n), ORDERS, placeAt(12), {});
    expect(change.lsn).toBe('1/0');
    expect(change.id).toBe('1/0/12');
  });

  it('keeps where it stands in the log, whatever becomes of the object that said so', () => {
    const place = placeAt(1);
    const change = new Insert(TRANSACTION, ORDERS, place, {});
    Object.assign(place, { walHigh: 9, walLow: 9, ordinal: 9, index: 9 });
    expect(change).toMatchObject({ walHigh: 0x16, walLow: 0x11, ordinal: 0, index: 1, commitLsn: 0x16_b374d848n });
  });
});
