import type { TextParser } from '../type-parsers.js';
import { malformed, readPart, TextScanner, type Part } from './part.js';

/**
 * A range of PostgreSQL, with `types: 'rich'`. A bound is what a column of its type would be; null where there is none
 * (an infinite date is a bound, and no null). Of an empty range, both are null and neither is inclusive.
 *
 * @publicApi
 */
export interface PgRange<T = unknown> {
  readonly lower: T | null;
  readonly upper: T | null;
  readonly lowerInclusive: boolean;
  readonly upperInclusive: boolean;
  readonly isEmpty: boolean;
}

const EMPTY = 'empty';
const COMMA = 0x2c;
const OPEN_INCLUSIVE = 0x5b;
const OPEN_EXCLUSIVE = 0x28;
const CLOSE_INCLUSIVE = 0x5d;
const CLOSE_EXCLUSIVE = 0x29;
const OPEN = 0x7b;
const CLOSE = 0x7d;

/** A range's text (manual, section 8.17.5). */
export function rangeParser(bound: Part): TextParser {
  return (text) => {
    if (text === EMPTY) return emptyRange();
    const scanner = new TextScanner(text);
    const range = readRange(scanner, bound);
    scanner.expectEnd();
    return range;
  };
}

/** A multirange's text to an array of ranges; none of them is empty. */
export function multirangeParser(bound: Part): TextParser {
  return (text) => {
    const scanner = new TextScanner(text);
    scanner.expect(OPEN, 'opening brace');
    const ranges: PgRange[] = [];
    while (scanner.code !== CLOSE) {
      if (ranges.length > 0) scanner.expect(COMMA, 'comma between ranges');
      ranges.push(readRange(scanner, bound));
    }
    scanner.at++;
    scanner.expectEnd();
    return ranges;
  };
}

function readRange(scanner: TextScanner, bound: Part): PgRange {
  const opens = scanner.code;
  if (opens !== OPEN_INCLUSIVE && opens !== OPEN_EXCLUSIVE) malformed('no beginning of a range');
  scanner.at++;
  const lower = readBound(scanner, bound, COMMA, COMMA);
  scanner.expect(COMMA, 'comma between bounds');
  const upper = readBound(scanner, bound, CLOSE_INCLUSIVE, CLOSE_EXCLUSIVE);
  const closes = scanner.code;
  if (closes !== CLOSE_INCLUSIVE && closes !== CLOSE_EXCLUSIVE) malformed('no end of a range');
  scanner.at++;
  return {
    lower,
    upper,
    lowerInclusive: opens === OPEN_INCLUSIVE,
    upperInclusive: closes === CLOSE_INCLUSIVE,
    isEmpty: false,
  };
}

function readBound(scanner: TextScanner, bound: Part, stop: number, orStop: number): unknown {
  if (scanner.isQuoted) return readPart(bound, scanner.quoted());
  const text = scanner.bare(stop, orStop);
  return text === '' ? null : readPart(bound, text);
}

function emptyRange(): PgRange {
  return { lower: null, upper: null, lowerInclusive: false, upperInclusive: false, isEmpty: true };
}
