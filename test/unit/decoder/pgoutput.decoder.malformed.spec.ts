import { describe, expect, it } from '@jest/globals';
import { DecodeError } from '#lib/errors/decode.error.js';
import {
  deletion,
  insert,
  int16,
  int32,
  logicalMessage,
  relation,
  truncation,
  update,
} from '../../support/pgoutput-encoder.js';
import { DecoderUnderTest } from './recording-visitor.js';
import { SAMPLE_RELATION, SAMPLES } from './samples.js';

const ID = SAMPLE_RELATION.id;
const CELLS = SAMPLE_RELATION.columns.map(() => null);

function preparedDecoder(): DecoderUnderTest {
  const decoder = new DecoderUnderTest();
  decoder.decode(relation(SAMPLE_RELATION));
  decoder.visitor.calls.length = 0;
  return decoder;
}

/** The DecodeError of a message, and proof that nobody was called with half of it. */
function failureOf(message: Buffer, filler = 0): DecodeError {
  const decoder = preparedDecoder();
  try {
    decoder.decode(message, filler);
  } catch (error) {
    expect(decoder.visitor.calls).toEqual([]);
    if (error instanceof DecodeError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe.each(SAMPLES)('%s %s', (messageType, _shape, message) => {
  it('is read whole', () => {
    expect(() => preparedDecoder().decode(message)).not.toThrow();
  });

  // Fillers: what lies behind the message may look like zeroes, like null columns, like text or like anything.
  it.each([0x00, 0x6e, 0x74, 0xff])('cut at any byte is a DecodeError with type and place (filler %i)', (filler) => {
    for (let length = 1; length < message.length; length++) {
      const error = failureOf(message.subarray(0, length), filler);
      expect(error.messageType).toBe(messageType);
      expect(error.offset).toBeGreaterThanOrEqual(0);
      expect(error.offset).toBeLessThanOrEqual(length);
    }
  });

  it.each([1, 2, 7])('with %i bytes left over is a DecodeError', (extra) => {
    const error = failureOf(Buffer.concat([message, Buffer.alloc(extra)]));
    expect(error.messageType).toBe(messageType);
  });
});

describe('a malformed message', () => {
  it('without any byte is a DecodeError at its start', () => {
    // What lies behind it, an I, is not its type.
    const error = failureOf(Buffer.alloc(0), 0x49);
    expect(error).toMatchObject({ messageType: 'empty', offset: 0 });
  });

  it('of an unknown type is told by its type byte', () => {
    for (const byte of [0, 0x74, 0x7f, 0xff]) {
      const error = failureOf(Buffer.from([byte, 0, 0, 0, 1]));
      expect(error.messageType).toBe(`0x${byte.toString(16)}`);
      expect(error.message).toContain('unknown message type');
    }
  });

  it.each([
    ['Insert', insert(99, CELLS)],
    ['Update', update(99, CELLS)],
    ['Delete', deletion(99, 'K', CELLS)],
    ['Truncate', truncation([ID, 99])],
  ])('%s of a relation that was never described names its id', (messageType, message) => {
    const error = failureOf(message);
    expect(error.messageType).toBe(messageType);
    expect(error.message).toContain('relation 99 has not been described on this connection');
  });

  it('with an unknown replica identity', () => {
    const message = relation({ ...SAMPLE_RELATION, replicaIdentity: 'x' as 'd' });
    expect(failureOf(message).message).toContain('unknown replica identity');
  });

  it.each(['X', 'N', 'n', '\0'])('Delete with tuple kind %j', (kind) => {
    const error = failureOf(deletion(ID, kind as 'K', CELLS));
    expect(error.messageType).toBe('Delete');
  });

  it('Insert with an old tuple in place of a new one', () => {
    const message = insert(ID, CELLS);
    message[5] = 'K'.charCodeAt(0);
    expect(failureOf(message).message).toContain('tuple kind 0x4b where 0x4e was expected');
  });

  it('Update with an unknown tuple kind in front', () => {
    const message = update(ID, CELLS, { kind: 'X' as 'K', cells: CELLS });
    expect(failureOf(message).message).toContain('unknown tuple kind 0x58');
  });

  it('Update with two old tuples', () => {
    const message = update(ID, CELLS, { kind: 'K', cells: CELLS });
    const tuple = message.subarray(5, 6 + 2 + CELLS.length);
    const twice = Buffer.concat([message.subarray(0, 5), tuple, message.subarray(5)]);
    expect(failureOf(twice).messageType).toBe('Update');
  });

  it.each(['x', 'B', '\0'])('with a column of kind %j, which there is not', (kind) => {
    const cells = [...CELLS.slice(1), { kind, value: Buffer.from([0, 0, 0, 1]) }];
    const error = failureOf(insert(ID, cells));
    expect(error.message).toContain(`unknown kind of column value 0x${kind.charCodeAt(0).toString(16)}`);
  });

  it('with a binary value that its type cannot have', () => {
    const cells = [...CELLS.slice(1), { kind: 'b', value: Buffer.from([0, 0, 0, 1]) }];
    expect(failureOf(insert(ID, cells)).message).toMatch(/column ".+" \(oid \d+\) in the binary format cannot be read/);
  });

  it('with more or fewer columns than the relation has', () => {
    for (const cells of [CELLS.slice(1), [...CELLS, null], []]) {
      const error = failureOf(insert(ID, cells));
      expect(error.message).toContain(`${cells.length} columns in a tuple of a relation with ${CELLS.length}`);
    }
  });

  it('with a column length that is negative or beyond the message', () => {
    for (const length of [-1, -(2 ** 31), 6, 2 ** 31 - 1]) {
      const message = insert(ID, ['12345', ...CELLS.slice(1)]);
      int32(length).copy(message, 5 + 1 + 2 + 1);
      expect(failureOf(message).messageType).toBe('Insert');
    }
  });

  it('with a count of columns or tables that is negative or not met', () => {
    const table = relation({ ...SAMPLE_RELATION, columns: [] });
    int16(-1).copy(table, table.length - 2);
    expect(failureOf(table).message).toContain('-1 columns announced');
    for (const count of [-1, 0, 1, 3, 2 ** 31 - 1, 2 ** 30 + 2]) {
      const message = truncation([ID, ID]);
      int32(count).copy(message, 1);
      expect(failureOf(message).message).toContain(`${count} relations announced`);
    }
  });

  it('with a content length that is negative or beyond the message', () => {
    for (const length of [-1, 8, 2 ** 31 - 1]) {
      const message = logicalMessage(true, 1n, 'p', '1234567');
      int32(length).copy(message, message.length - 11);
      expect(failureOf(message).messageType).toBe('Message');
    }
  });

  it('never shows a value in its text', () => {
    const error = failureOf(insert(ID, ['1', 'secret', 'secret', 'secret', 'secret', 'secret', 'secret']));
    expect(error.message).not.toContain('secret');
  });
});
