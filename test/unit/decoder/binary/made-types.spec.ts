import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { EXTENSION_TEXTS } from '#lib/decoder/binary/extensions.js';
import { recordText } from '#lib/decoder/binary/record.js';
import { typeReader } from '#lib/decoder/binary/type-readers.js';
import { readUtf8, type ReadText } from '#lib/decoder/binary/value-reader.js';
import { OidDatabase } from '#lib/decoder/oid-database.js';
import { BinaryFormatError } from '#lib/errors/replication.error.js';
import type { MadeType } from '#lib/protocol/made-type.js';

const TEXT = 25;
const INT4 = 23;

const int32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
};
const counted = (text: string | null): Buffer =>
  text === null ? int32(-1) : Buffer.concat([int32(Buffer.byteLength(text)), Buffer.from(text)]);

/** As `record_send` writes it. */
function record(...fields: (readonly [number, string | null])[]): Buffer {
  return Buffer.concat([int32(fields.length), ...fields.flatMap(([oid, text]) => [int32(oid), counted(text)])]);
}

/** As `hstore_send` writes it. */
function hstore(...pairs: (readonly [string, string | null])[]): Buffer {
  return Buffer.concat([int32(pairs.length), ...pairs.flatMap(([key, value]) => [counted(key), counted(value)])]);
}

/** With other bytes around it, which nobody may read. */
function read(text: ReadText, bytes: Buffer): string {
  const all = Buffer.concat([Buffer.alloc(7, 0x41), bytes, Buffer.alloc(9, 0x41)]);
  return text(all as never, 7, 7 + bytes.length);
}

const ROW = recordText((oid) => (oid === TEXT ? readUtf8 : null));
const HSTORE = EXTENSION_TEXTS['hstore_send']!;

describe('the binary form of a composite value', () => {
  it('is written as the server does: null, empty, and what needs quotes', () => {
    expect(read(ROW, record())).toBe('()');
    expect(read(ROW, record([TEXT, null]))).toBe('()');
    expect(read(ROW, record([TEXT, ''], [TEXT, null], [TEXT, 'plain']))).toBe('("",,plain)');
    expect(read(ROW, record([TEXT, 'a "b\\"'], [TEXT, ','], [TEXT, '('], [TEXT, '\t']))).toBe(
      '("a ""b\\\\""",",","(","\t")',
    );
  });

  it('with an attribute of a type that nobody knows gives way to text', () => {
    expect(() => read(ROW, record([99_999, 'x']))).toThrow(BinaryFormatError);
  });

  it('is known where all of its attributes are', () => {
    const made = new Map<number, MadeType>([
      [20_000, { kind: 'composite', attributes: [{ name: 'a', oid: INT4 }, null, { name: 'b', oid: 20_001 }] }],
      [20_001, { kind: 'array', of: 20_002, delimiter: ';' }],
      [20_002, { kind: 'base', name: 'citext', send: 'textsend' }],
      [20_003, { kind: 'composite', attributes: [{ name: 'a', oid: 20_004 }] }],
      [20_004, { kind: 'base', name: 'cube', send: 'cube_send' }],
    ]);
    const oids = new OidDatabase(undefined, made);
    expect(typeReader(20_000, oids)?.isSessionBound).toBe(false);
    expect(typeReader(20_003, oids)).toBeUndefined();
    const array = Buffer.concat([int32(1), int32(0), int32(20_002), int32(2), int32(1), counted('x;y'), counted('z')]);
    const bytes = Buffer.concat([
      int32(2),
      int32(INT4),
      int32(4),
      int32(-7),
      int32(20_001),
      int32(array.length),
      array,
    ]);
    expect(read(typeReader(20_000, oids)!.text!, bytes)).toBe('(-7,"{""x;y"";z}")');
  });
});

describe('the binary form of an hstore', () => {
  it('is written as the server does', () => {
    expect(read(HSTORE, hstore())).toBe('');
    expect(read(HSTORE, hstore(['a', '1'], ['b "\\', null], ['', '']))).toBe('"a"=>"1", "b \\"\\\\"=>NULL, ""=>""');
  });
});

describe.each([
  ['composite value', ROW, record([TEXT, 'one'], [TEXT, null], [TEXT, 'th"ree'])],
  ['hstore', HSTORE, hstore(['one', 'two'], ['three', null])],
])('a %s that is malformed', (_, text, good) => {
  it('is refused, or read within its bounds', () => {
    const faulty = fc.tuple(fc.nat(good.length - 1), fc.nat(255), fc.nat(8)).map(([at, byte, cut]) => {
      const copy = Buffer.from(good.subarray(0, good.length - cut));
      if (at < copy.length) copy[at] = byte;
      return copy;
    });
    fc.assert(
      fc.property(faulty, (bytes) => {
        try {
          // What stands around it is of As, which are nowhere in it.
          expect(read(text, bytes).length).toBeLessThan(100);
        } catch (error) {
          expect(['RangeError', 'DecodeError', 'BinaryFormatError']).toContain((error as Error).constructor.name);
        }
      }),
      { numRuns: 5_000 },
    );
  });

  it('is refused at once where it announces more than there is', () => {
    for (const count of [2 ** 31 - 1, -1, -(2 ** 31)]) {
      const begin = performance.now();
      expect(() => read(text, Buffer.concat([int32(count), good.subarray(4)]))).toThrow();
      expect(performance.now() - begin).toBeLessThan(1_000);
    }
  });
});
