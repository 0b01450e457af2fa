import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { types } from 'pg';
import { columnParser } from '#lib/types/type-parsers.js';

const BYTEA = 17;
const BYTEA_ARRAY = 1001;

/** As byteaout has it under `bytea_output = escape`. */
function escaped(bytes: Uint8Array): string {
  return [...bytes]
    .map((byte) => {
      if (byte === 0x5c) return '\\\\';
      return byte < 0x20 || byte > 0x7e ? `\\${byte.toString(8).padStart(3, '0')}` : String.fromCharCode(byte);
    })
    .join('');
}
const hex = (bytes: Uint8Array): string => `\\x${Buffer.from(bytes).toString('hex')}`;
const element = (text: string): string => `"${text.replaceAll(/[\\"]/g, String.raw`\$&`)}"`;

describe('bytea as text', () => {
  it.each([
    ['hex', hex],
    ['escaped', escaped],
  ])('is read as node-postgres reads it: %s', (_, write) => {
    const bytes = fc.uint8Array({ maxLength: 40 });
    const some = fc.oneof(
      bytes,
      bytes.map((each) => each.map((byte) => (byte % 3 === 0 ? 0x5c : byte))),
    );
    fc.assert(
      fc.property(fc.array(some, { maxLength: 5 }), (list) => {
        for (const each of list) expect(columnParser(BYTEA).parse(write(each))).toEqual(Buffer.from(each));
        const text = `{${list.map((each) => element(write(each))).join()}}`;
        expect(columnParser(BYTEA_ARRAY).parse(text)).toEqual(list.map((each) => Buffer.from(each)));
        if (list.length === 0) return;
        const two = `[-1:0][3:${list.length + 2}]={${text},${text}}`;
        expect(columnParser(BYTEA_ARRAY).parse(two)).toEqual(types.getTypeParser(BYTEA_ARRAY as never)(two));
      }),
    );
  });

  it.each([
    [BYTEA, '\\'],
    [BYTEA, 'a\\'],
    [BYTEA, '\\\\\\'],
    [BYTEA, '\\8'],
    [BYTEA, '\\12'],
    [BYTEA, ' \\x00'],
    [BYTEA_ARRAY, '{"\\\\"}'],
    [BYTEA_ARRAY, '{"\\\\x12\\\\"}'],
    [BYTEA_ARRAY, '{a"\\\\x12"}'],
    [BYTEA_ARRAY, '{"\\\\x12"'],
    [BYTEA_ARRAY, '[1,"={\\\\"}'],
    [BYTEA_ARRAY, '{\\\\}'],
  ])('that no server writes is refused, where node-postgres would not come to an end: %s %s', (oid, text) => {
    expect(() => columnParser(oid).parse(text)).toThrow('a backslash that stands alone');
  });

  it('with a parser that takes the text as it is costs nothing', () => {
    const asText = types.getTypeParser(0 as never) as unknown;
    expect(columnParser(BYTEA, { getTypeParser: () => asText })).toMatchObject({ parse: asText, identity: true });
  });
});
