import { describe, expect, it } from '@jest/globals';
import { readImage } from '#lib/changes/image-reader.js';
import { Delete, Insert, Truncate, Update } from '#lib/changes/change.js';
import { RelationCache, type CachedRelation } from '#lib/decoder/relation-cache.js';
import { OidDatabase } from '#lib/decoder/oid-database.js';
import { DecodeError } from '#lib/errors/decode.error.js';
import type { CustomTypes } from '#lib/types/type-parsers.js';
import {
  begin,
  deletion,
  insert,
  logicalMessage,
  relation,
  truncation,
  UNCHANGED_TOAST,
  update,
} from '../../support/pgoutput-encoder.js';
import { placeAt, transactionAt } from './samples.js';

const ID = 16_400;
const TEXT = 25;
const THINGS = {
  id: ID,
  schema: 'public',
  table: 'things',
  replicaIdentity: 'default',
  columns: [
    { name: 'id', typeOid: 23, typeModifier: -1, isKey: true },
    { name: 'name', typeOid: TEXT, typeModifier: -1, isKey: false },
  ],
} as const;

function describeThings(types?: CustomTypes): CachedRelation {
  return new RelationCache({ oids: new OidDatabase(), customTypes: types }).add(THINGS);
}

describe('readImage', () => {
  const transaction = transactionAt(0x1000n);
  const read = (message: Buffer, cached = describeThings()) => readImage({ cached, message }, transaction, placeAt(3));

  it('reads each kind of change, in its transaction and at its place', () => {
    const cached = describeThings();
    const inserted = read(insert(ID, ['1', 'a']), cached);
    expect(inserted).toBeInstanceOf(Insert);
    expect(inserted).toMatchObject({ transaction, ...placeAt(3), record: { id: 1, name: 'a' }, id: '0/1000/3' });
    expect(inserted.relation).toBe(cached.relation);
    const updated = read(update(ID, ['2', UNCHANGED_TOAST], { kind: 'K', cells: ['1', null] }));
    expect(updated).toBeInstanceOf(Update);
    expect(updated).toMatchObject({
      oldRecord: { id: 1 },
      record: { id: 2 },
      unchangedToast: ['name'],
      changedColumns: null,
    });
    const full = read(update(ID, ['1', 'b'], { kind: 'O', cells: ['1', 'a'] }));
    expect(full).toMatchObject({ changedColumns: ['name'], unchangedToast: [] });
    expect(read(deletion(ID, 'K', ['1', null]))).toEqual(new Delete(transaction, THINGS, placeAt(3), { id: 1 }));
    expect(read(truncation([ID], 3))).toEqual(new Truncate(transaction, THINGS, placeAt(3), true, true));
  });

  it('reads what nobody wants any more, and leaves open who wants what', () => {
    const cached = describeThings();
    const interest = { mask: 0 };
    cached.interest = interest;
    expect(read(insert(ID, ['1', 'a']), cached)).toMatchObject({ record: { id: 1 } });
    expect(cached.interest).toBe(interest);
    expect(() => read(insert(ID, ['1']), cached)).toThrow(DecodeError);
    expect(cached.interest).toBe(interest);
  });

  it('makes one row reader for all images of a relation', () => {
    let asked = 0;
    const cached = describeThings({
      getTypeParser: () => {
        asked++;
        return (text: string) => `<${text}>`;
      },
    });
    for (let row = 0; row < 5; row++) {
      expect(read(insert(ID, [String(row), 'a']), cached)).toMatchObject({ record: { id: `<${row}>`, name: '<a>' } });
    }
    expect(asked).toBe(THINGS.columns.length);
  });

  it.each([
    ['another relation', insert(ID + 1, ['1', 'a'])],
    ['a truncate of no table', truncation([])],
    ['a truncate of another table beside it', truncation([ID, ID + 1])],
    ['a Begin', begin(1n)],
    ['a Relation', relation({ id: ID, columns: [] })],
    ['a logical message', logicalMessage(true, 1n, 'a', 'b')],
    ['nothing', Buffer.alloc(0)],
    ['half of it', insert(ID, ['1', 'a']).subarray(0, 12)],
  ])('refuses %s, and is as it was before', (_, message) => {
    const cached = describeThings();
    expect(read(insert(ID, ['1', 'a']), cached)).toBeInstanceOf(Insert);
    expect(() => read(message, cached)).toThrow(DecodeError);
    expect(read(insert(ID, ['2', 'a']), cached)).toMatchObject({ record: { id: 2 } });
  });
});
