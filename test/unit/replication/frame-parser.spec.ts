import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { DecodeError } from '#lib/errors/decode.error.js';
import { FrameParser, Next } from '#lib/replication/frame-parser.js';
import { frame, int32 } from '../../support/pgoutput-encoder.js';

/** Frames in hex as a parser hands them over. */
function parse(chunks: readonly Buffer[], stopAt = Number.POSITIVE_INFINITY): string[] {
  const seen: string[] = [];
  const parser = new FrameParser((type, buffer, start, end) => {
    expect(buffer[start]).toBe(type);
    seen.push(buffer.toString('hex', start, end));
    return seen.length < stopAt ? Next.GoOn : Next.Stop;
  });
  for (const chunk of chunks) parser.push(chunk);
  return seen;
}

/** Cuts bytes at places, in order. */
function split(bytes: Buffer, places: readonly number[]): Buffer[] {
  const cuts = [0, ...places.map((place) => place % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return cuts.slice(1).map((cut, index) => bytes.subarray(cuts[index], cut));
}

const someFrame = fc
  .tuple(fc.constantFrom('d', 'c', 'C', 'N', 'S'), fc.uint8Array({ maxLength: 60 }), fc.constantFrom(1, 1, 100))
  .map(([letter, body, times]) => frame(letter, Buffer.concat(Array.from({ length: times }, () => body))));
const frames = fc.array(someFrame, { maxLength: 12 });
const places = fc.array(fc.nat(), { maxLength: 12 });

describe('the frames of a byte stream', () => {
  it('are the same whole, byte by byte, and cut anywhere', () => {
    fc.assert(
      fc.property(frames, places, (each, cuts) => {
        const bytes = Buffer.concat(each);
        const expected = each.map((one) => one.toString('hex'));
        expect(parse([bytes])).toEqual(expected);
        expect(parse([...bytes].map((byte) => Buffer.from([byte])))).toEqual(expected);
        expect(parse(split(bytes, cuts))).toEqual(expected);
      }),
      { numRuns: 500 },
    );
  });

  it('come as soon as their last byte has come', () => {
    const bytes = frame('d', Buffer.from('body'));
    for (let length = 0; length < bytes.length; length++) expect(parse([bytes.subarray(0, length)])).toEqual([]);
    expect(parse([bytes, frame('c', Buffer.alloc(0)).subarray(0, 3)])).toHaveLength(1);
  });

  it('are handed over where they lie, without a copy, unless they are split', () => {
    const chunk = Buffer.concat([frame('d', Buffer.from('one')), frame('d', Buffer.from('two'))]);
    const places: [boolean, number, number][] = [];
    const parser = new FrameParser((_type, buffer, start, end) => {
      places.push([buffer === chunk, start, end]);
      return Next.GoOn;
    });
    parser.push(chunk);
    expect(places).toEqual([
      [true, 0, 8],
      [true, 8, 16],
    ]);
  });

  it('may be far larger than a chunk, and leave no memory behind', () => {
    const large = frame('d', Buffer.from(Uint32Array.from({ length: 786_432 }, (_, index) => index).buffer));
    const small = frame('c', Buffer.from('small'));
    const bytes = Buffer.concat([small, large, small, small]);
    const seen: Buffer[] = [];
    let lastSize = 0;
    const parser = new FrameParser((_type, buffer, start, end) => {
      seen.push(Buffer.from(buffer.subarray(start, end)));
      lastSize = buffer.length;
      return Next.GoOn;
    });
    for (let at = 0; at < bytes.length - 3; at += 65_536) {
      parser.push(bytes.subarray(at, Math.min(at + 65_536, bytes.length - 3)));
    }
    parser.push(bytes.subarray(bytes.length - 3));
    expect(Buffer.concat(seen).equals(bytes)).toBe(true);
    expect(seen.map((each) => each.length)).toEqual([small, large, small, small].map((each) => each.length));
    expect(lastSize).toBeLessThan(1024 * 1024);
  });

  it('wait where the handler holds them, each as often as it likes, and are the same then', () => {
    fc.assert(
      fc.property(frames, places, fc.array(fc.boolean(), { minLength: 1, maxLength: 5 }), (each, cuts, holds) => {
        const seen: string[] = [];
        let isHolding = false;
        const parser = new FrameParser((_type, buffer, start, end) => {
          expect(isHolding).toBe(false);
          seen.push(buffer.toString('hex', start, end));
          isHolding = holds[seen.length % holds.length]!;
          return isHolding ? Next.Hold : Next.GoOn;
        });
        for (const chunk of split(Buffer.concat(each), cuts)) {
          let isUsedUp = parser.push(chunk);
          while (isHolding) {
            expect([isUsedUp, parser.isHeld]).toEqual([false, true]);
            isHolding = false;
            isUsedUp = parser.goOn();
          }
          expect([isUsedUp, parser.isHeld]).toEqual([true, false]);
        }
        expect(seen).toEqual(each.map((one) => one.toString('hex')));
      }),
      { numRuns: 500 },
    );
  });

  it('stay as they are after the call, also those that were put together from two chunks', () => {
    const each = ['one', 'two', 'six', 'ten'].map((text) => frame('d', Buffer.from(text)));
    const kept: Buffer[] = [];
    const parser = new FrameParser((_type, buffer, start, end) => {
      kept.push(buffer.subarray(start, end));
      return Next.GoOn;
    });
    for (const chunk of split(Buffer.concat(each), [3, 11, 19, 27])) parser.push(chunk);
    expect(kept.map((one) => one.toString('hex'))).toEqual(each.map((one) => one.toString('hex')));
  });

  it('do not come after the handler has said stop: neither of this chunk nor of a later one', () => {
    const each = ['one', 'two', 'three', 'four'].map((text) => frame('d', Buffer.from(text)));
    const bytes = Buffer.concat(each);
    fc.assert(
      fc.property(places, fc.integer({ min: 1, max: 4 }), (cuts, stopAt) => {
        const expected = each.slice(0, stopAt).map((one) => one.toString('hex'));
        expect(parse([...split(bytes, cuts), bytes], stopAt)).toEqual(expected);
      }),
    );
  });
});

describe('an impossible length', () => {
  const lengths = [0, 3, -1, -(2 ** 31), 0x7fff_ffff];

  it.each(lengths)('%i is a DecodeError that names the message, however the header is cut', (length) => {
    const header = Buffer.concat([Buffer.from('d'), int32(length)]);
    for (const chunks of [[header], split(header, [1]), split(header, [4]), split(header, [1, 2, 3, 4])]) {
      let caught: unknown;
      try {
        parse([...chunks, Buffer.from('more')]);
      } catch (error) {
        caught = error;
      }
      expect(caught).toBeInstanceOf(DecodeError);
      expect(caught).toMatchObject({ messageType: 'CopyData', offset: 1 });
      expect((caught as Error).message).toContain(`impossible message length ${length}`);
    }
  });

  it('does not keep the frames before it from being handed over', () => {
    const seen: number[] = [];
    const parser = new FrameParser((type) => {
      seen.push(type);
      return Next.GoOn;
    });
    expect(() => parser.push(Buffer.concat([frame('c', Buffer.alloc(0)), Buffer.from([0x64, 0, 0, 0, 0])]))).toThrow(
      DecodeError,
    );
    expect(seen).toEqual([0x63]);
  });

  it('is not one of a gigabyte, the most that the server can send: that is waited for', () => {
    expect(parse([Buffer.concat([Buffer.from('d'), int32(2 ** 30), Buffer.alloc(100)])])).toEqual([]);
  });
});
