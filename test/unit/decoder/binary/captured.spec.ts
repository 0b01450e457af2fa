import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { binaryColumn } from '#lib/decoder/binary/column-reader.js';
import { typeReader } from '#lib/decoder/binary/type-readers.js';
import type { ReadBinary } from '#lib/decoder/binary/value-reader.js';
import { OidDatabase } from '#lib/decoder/oid-database.js';
import type { SliceableBuffer } from '#lib/protocol/byte-reader.js';
import { valueParser } from '#lib/decoder/value-parser.js';
import { embedded } from '../../../support/pgoutput-encoder.js';
import type { CapturedType } from '../../../support/values/capture-binary.js';
import { difference } from '../../../support/values/difference.js';
import { packageRoot } from '../../package-root.js';

const FIXTURE = join(packageRoot(), 'test/fixtures/binary/values.json');
const CAPTURED = JSON.parse(readFileSync(FIXTURE, 'utf8')) as CapturedType[];
const OIDS = new OidDatabase();

/** With other bytes around it. */
function read<T>(reader: ReadBinary<T>, bytes: Buffer, filler = 0xff): T {
  const { buffer, start, end } = embedded(bytes, filler);
  return reader(buffer as SliceableBuffer, start, end);
}

/** What comes of it, also where that is an error: in a form that can be compared. */
function outcome(reader: ReadBinary, bytes: Buffer, filler: number): unknown {
  try {
    return { value: read(reader, bytes, filler) };
  } catch (error) {
    return { error: (error as Error).name };
  }
}

describe.each(CAPTURED)('$name, as a server sends it', ({ oid, values }) => {
  const parser = valueParser(oid, { oids: OIDS });
  const { column, refusal } = binaryColumn(oid, parser, OIDS);

  it('has a binary form that is known', () => {
    expect(refusal).toBeUndefined();
    expect(values.length).toBeGreaterThan(0);
  });

  it('gives the text that the server writes', () => {
    const text = typeReader(oid, OIDS)!.text!;
    expect(values.map(([hex]) => read(text, Buffer.from(hex, 'hex')))).toEqual(values.map(([, each]) => each));
  });

  it('gives the value that node-postgres makes of the text', () => {
    for (const [hex, text] of values) {
      expect(difference(read(column.read, Buffer.from(hex, 'hex')), parser.parse(text), text)).toBeUndefined();
    }
  });

  it('is never read beyond its end, where it is cut', () => {
    for (const [hex] of values) {
      const bytes = Buffer.from(hex, 'hex');
      for (let length = 0; length < Math.min(bytes.length, 120); length++) {
        const cut = bytes.subarray(0, length);
        const found = difference(
          outcome(column.read, cut, 0x00),
          outcome(column.read, cut, 0xff),
          `${length} of ${hex}`,
        );
        expect(found).toBeUndefined();
      }
    }
  });
});

describe('the types that were captured', () => {
  it('are those of the catalogue', () => {
    expect(CAPTURED.length).toBeGreaterThan(95);
  });
});
