import { afterEach, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { DecodeError } from '#lib/errors/decode.error.js';
import type { CustomTypes } from '#lib/types/type-parsers.js';
import { relation, UNCHANGED_TOAST, update } from '../../support/pgoutput-encoder.js';
import { DecoderUnderTest } from './recording-visitor.js';
import { readerAt, readRow, rowReaderOf } from './row-samples.js';

const TEXT = 25;
const TIMESTAMPTZ = 1184;

/** The update's record, old record, changed columns and unchanged TOAST, under a replica identity. */
function readUpdate(columns: Parameters<typeof relation>[0]['columns'], ...parts: [cells: never[], old?: never]) {
  const decoder = new DecoderUnderTest();
  decoder.decode(relation({ id: 1, replicaIdentity: 'f', columns }));
  const [, , record, oldRecord, , changed, unchangedToast] = decoder.decode(update(1, ...parts))!;
  return { record, oldRecord, changed, unchangedToast };
}

function old(...cells: unknown[]): never {
  return { kind: 'O', cells } as never;
}

describe('values', () => {
  it.each([
    [16, 't'],
    [20, '9007199254740993'],
    [21, '-7'],
    [23, '2147483647'],
    [700, 'NaN'],
    [701, '1.5e300'],
    [1700, '0.1000'],
    [17, '\\xdeadbeef'],
    [1082, '2026-01-02'],
    [1114, '2026-01-02 03:04:05.678'],
    [1184, '2026-01-02 03:04:05.678901+05:30'],
    [1184, 'infinity'],
    [114, '{"a": [1, null]}'],
    [3802, '"text"'],
    [1186, '1 day 02:03:04'],
    [2950, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
    [600, '(1,2)'],
    [1009, '{a,"b c",NULL}'],
    [1007, '{{1,2},{3,4}}'],
    [16_999, 'a type of my own, größer'],
  ])('of type %i are what node-postgres makes of them: %s', (typeOid, text) => {
    const expected: unknown = pg.types.getTypeParser(typeOid as never, 'text')(text);
    expect(readRow([{ name: 'value', typeOid }], [text])).toStrictEqual({ value: expected });
    const fromKey = rowReaderOf([{ name: 'value', typeOid, isKey: true }]).key(readerAt([text]));
    expect(fromKey).toStrictEqual({ value: expected });
  });

  it('that are null are null, and empty text is empty text', () => {
    const columns = [{ name: 'nothing' }, { name: 'empty' }, { name: 'word' }];
    expect(readRow(columns, [null, '', 'null'])).toStrictEqual({ nothing: null, empty: '', word: 'null' });
  });

  it('of a domain are read as those of its base type, over any number of domains', () => {
    const domains = new Map([
      [50_002, 50_001],
      [50_001, 23],
    ]);
    const reader = rowReaderOf([{ name: 'value', typeOid: 50_002 }], { domains });
    expect(reader.row(readerAt(['7']))).toStrictEqual({ value: 7 });
  });
});

describe('type parsers of the application', () => {
  const original = pg.types.getTypeParser(20, 'text');
  afterEach(() => pg.types.setTypeParser(20, original));

  it('set with types.setTypeParser are honoured', () => {
    pg.types.setTypeParser(20, BigInt);
    expect(readRow([{ name: 'id', typeOid: 20 }], ['9007199254740993'])).toStrictEqual({ id: 9007199254740993n });
  });

  it('of the connection are honoured, and are asked for text', () => {
    const asked: unknown[] = [];
    const types: CustomTypes = {
      getTypeParser: (oid, format) => {
        asked.push([oid, format]);
        return (text: string) => `custom ${text}`;
      },
    };
    expect(readRow([{ name: 'id', typeOid: 20 }], ['1'], types)).toStrictEqual({ id: 'custom 1' });
    expect(asked).toEqual([[20, 'text']]);
  });

  it('see multibyte text whole', () => {
    const types: CustomTypes = { getTypeParser: () => (text: string) => [...text] };
    expect(readRow([{ name: 'a' }], ['ä🐘'], types)).toStrictEqual({ a: ['ä', '🐘'] });
  });

  it('may give undefined: the column is there all the same', () => {
    const types: CustomTypes = { getTypeParser: () => () => undefined };
    expect(Object.keys(readRow([{ name: 'a' }], ['x'], types))).toEqual(['a']);
  });

  it('that throw become a DecodeError which names type, table and column, and never the value', () => {
    const fault = new Error('cannot');
    const types: CustomTypes = {
      getTypeParser: (oid) => (oid === TEXT ? (text: string) => text : () => raise(fault)),
    };
    const reader = rowReaderOf([{ name: 'first' }, { name: 'Secret Column', typeOid: 23 }], { types });
    const error = catchDecodeError(() => reader.row(readerAt(['harmless', 's3cret'])));
    expect(error.message).toContain('oid 23');
    expect(error.message).toContain('public.things, column "Secret Column"');
    expect(error.message).not.toContain('s3cret');
    expect(error.message).not.toContain('harmless');
    expect(error.cause).toBe(fault);
    const reread = catchDecodeError(() => reader.valueOf('Secret Column', 's3cret'));
    expect(reread.message).toContain('oid 23 threw on a value of public.things, column "Secret Column"');
    expect(reread.message).not.toContain('s3cret');
    expect(reread.cause).toBe(fault);
    expect(reader.valueOf('first', 'harmless')).toBe('harmless');
    expect(error.messageType).toBe('Insert');
  });
});

describe('unchanged TOAST', () => {
  const columns = [
    { name: 'id', isKey: true },
    { name: 'big', typeOid: TEXT },
    { name: 'huge', typeOid: TEXT },
  ];

  it('is absent from the row and named: neither null nor undefined', () => {
    const { record, unchangedToast } = readUpdate(columns, ['1', UNCHANGED_TOAST, null] as never);
    expect(record).toStrictEqual({ id: 1, huge: null });
    expect(unchangedToast).toEqual(['big']);
  });

  it('is filled from the old row under REPLICA IDENTITY FULL', () => {
    const { record, unchangedToast, changed } = readUpdate(
      columns,
      ['1', UNCHANGED_TOAST, 'x'] as never,
      old('2', 'long text', null),
    );
    expect(record).toStrictEqual({ id: 1, big: 'long text', huge: 'x' });
    expect(unchangedToast).toEqual([]);
    expect(changed).toEqual(['id', 'huge']);
  });

  it('was not null: an old row that says so is that of a partition with another identity, and tells what it has', () => {
    const { record, unchangedToast, changed } = readUpdate(
      columns,
      ['1', UNCHANGED_TOAST, UNCHANGED_TOAST] as never,
      old('2', 'long text', null),
    );
    expect(record).toStrictEqual({ id: 1, big: 'long text' });
    expect(unchangedToast).toEqual(['huge']);
    expect(changed).toBeNull();
  });

  it('stays named where the old row does not have it either', () => {
    const cells = ['1', UNCHANGED_TOAST, UNCHANGED_TOAST] as never;
    const { record, oldRecord, unchangedToast } = readUpdate(columns, cells, old('1', UNCHANGED_TOAST, 'x'));
    expect(record).toStrictEqual({ id: 1, huge: 'x' });
    expect(oldRecord).toStrictEqual({ id: 1, huge: 'x' });
    expect(unchangedToast).toEqual(['big']);
  });

  it('of one row does not linger on the next', () => {
    const reader = rowReaderOf(columns);
    reader.row(readerAt(['1', UNCHANGED_TOAST, 'x']));
    expect(reader.unchangedToast).toEqual(['big']);
    reader.row(readerAt(['1', 'y', 'x']));
    expect(reader.unchangedToast).toEqual([]);
  });

  it('fills a column called __proto__ like any other', () => {
    const { record } = readUpdate([{ name: '__proto__', typeOid: TEXT }], [UNCHANGED_TOAST] as never, old('text'));
    expect(Object.entries(record as object)).toEqual([['__proto__', 'text']]);
    expect(Object.getPrototypeOf(record)).toBe(Object.prototype);
  });
});

describe('changed columns', () => {
  it('are told by their bytes: a timestamp that moves by a microsecond has changed', () => {
    const { record, oldRecord, changed } = readUpdate(
      [
        { name: 'at', typeOid: TIMESTAMPTZ },
        { name: 'same', typeOid: TIMESTAMPTZ },
      ],
      ['2026-01-01 00:00:00.000001+00', '2026-01-01 00:00:00+00'] as never,
      old('2026-01-01 00:00:00.000002+00', '2026-01-01 00:00:00+00'),
    );
    expect(record).toEqual(oldRecord);
    expect(changed).toEqual(['at']);
  });

  it('are told apart by null and value, by length and by content', () => {
    const columns = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => ({ name, typeOid: TEXT }));
    const { changed } = readUpdate(
      columns,
      [null, 'x', '', 'xy', 'ab', null] as never,
      old('x', null, null, 'x', 'ac', null),
    );
    expect(changed).toEqual(['a', 'b', 'c', 'd', 'e']);
  });

  it('do not hold an unchanged TOAST value, and hold one that was replaced', () => {
    const columns = [
      { name: 'kept', typeOid: TEXT },
      { name: 'made', typeOid: TEXT },
    ];
    const { changed } = readUpdate(columns, [UNCHANGED_TOAST, 'new'] as never, old('x', UNCHANGED_TOAST));
    expect(changed).toEqual(['made']);
  });

  it('are none where the update wrote the same row again', () => {
    expect(readUpdate([{ name: 'a' }], ['1'] as never, old('1')).changed).toEqual([]);
  });
});

describe('key tuples', () => {
  const columns = [{ name: 'note' }, { name: 'id', typeOid: 23, isKey: true }, { name: 'tenant', isKey: true }];

  it('give the columns of the replica identity only', () => {
    expect(rowReaderOf(columns).key(readerAt([null, '7', 'acme']))).toStrictEqual({ id: 7, tenant: 'acme' });
  });

  it('do not run the parsers of other columns', () => {
    const types: CustomTypes = { getTypeParser: (oid) => (oid === 23 ? Number : () => raise(new Error('asked'))) };
    const reader = rowReaderOf([columns[0]!, columns[1]!], { types });
    expect(reader.key(readerAt(['whatever', '7']))).toStrictEqual({ id: 7 });
  });
});

function raise(error: Error): never {
  throw error;
}

function catchDecodeError(read: () => unknown): DecodeError {
  try {
    read();
  } catch (error) {
    if (error instanceof DecodeError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}
