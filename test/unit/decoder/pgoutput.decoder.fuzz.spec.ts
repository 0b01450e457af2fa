import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { DecodeError } from '#lib/errors/decode.error.js';
import { relation } from '../../support/pgoutput-encoder.js';
import { DecoderUnderTest } from './recording-visitor.js';
import { SAMPLE_RELATION, SAMPLES } from './samples.js';

/** What may become of a valid message on its way. */
const mutation = fc.oneof(
  fc.record({ kind: fc.constant('set' as const), at: fc.nat(400), byte: fc.nat(255) }),
  fc.record({ kind: fc.constant('cut' as const), at: fc.nat(400), byte: fc.nat(40) }),
  fc.record({ kind: fc.constant('insert' as const), at: fc.nat(400), byte: fc.nat(255) }),
  fc.record({ kind: fc.constant('append' as const), at: fc.nat(40), byte: fc.nat(255) }),
);
const sample = fc.constantFrom(...SAMPLES.map(([, , message]) => message));
const mutated = fc
  .tuple(sample, fc.array(mutation, { minLength: 1, maxLength: 6 }))
  .map(([message, mutations]) =>
    mutations.reduce<Buffer>((bytes, { kind, at, byte }) => mutate(bytes, kind, at, byte), message),
  );

function mutate(bytes: Buffer, kind: 'set' | 'cut' | 'insert' | 'append', at: number, byte: number): Buffer {
  if (kind === 'append') return Buffer.concat([bytes, Buffer.alloc(at, byte)]);
  const place = bytes.length === 0 ? 0 : at % bytes.length;
  if (kind === 'insert') return Buffer.concat([bytes.subarray(0, place), Buffer.from([byte]), bytes.subarray(place)]);
  if (kind === 'cut') return Buffer.concat([bytes.subarray(0, place), bytes.subarray(place + byte)]);
  const copy = Buffer.from(bytes);
  if (place < copy.length) copy[place] = byte;
  return copy;
}

/** A decoder that survives whatever came before: calls, or a DecodeError with a place inside of the message. */
function outcome(decoder: DecoderUnderTest, message: Buffer): 'read' | 'refused' {
  try {
    decoder.decode(message, 0x6e);
    return 'read';
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    if (error.offset < 0 || error.offset > message.length) throw new Error(`offset ${error.offset}`, { cause: error });
    if (error.messageType === '') throw new Error('no message type', { cause: error });
    return 'refused';
  }
}

function freshDecoder(): DecoderUnderTest {
  const decoder = new DecoderUnderTest();
  decoder.decode(relation(SAMPLE_RELATION));
  return decoder;
}

describe('any bytes', () => {
  it('give calls or a DecodeError, never another error: messages with random faults', () => {
    const seen = new Set<string>();
    fc.assert(
      fc.property(mutated, (message) => {
        seen.add(outcome(freshDecoder(), message));
      }),
      { numRuns: 20_000 },
    );
    expect([...seen].sort()).toEqual(['read', 'refused']);
  });

  it('give calls or a DecodeError on a decoder that has seen faulty messages before', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(mutated, sample), { maxLength: 12 }), (messages) => {
        const decoder = freshDecoder();
        for (const message of messages) outcome(decoder, message);
        // A faulty Relation may have replaced the good one; told anew, the table is read again.
        decoder.decode(relation(SAMPLE_RELATION));
        for (const [, , message] of SAMPLES) decoder.decode(message);
      }),
      { numRuns: 1_000 },
    );
  });

  it('give calls or a DecodeError: random bytes behind each known type', () => {
    const type = fc.constantFrom(...'BCORYIUDTM').map((letter) => letter.charCodeAt(0));
    const bytes = fc.uint8Array({ maxLength: 80 });
    fc.assert(
      fc.property(type, bytes, (letter, rest) => {
        outcome(freshDecoder(), Buffer.from([letter, ...rest]));
      }),
      { numRuns: 5_000 },
    );
  });
});
