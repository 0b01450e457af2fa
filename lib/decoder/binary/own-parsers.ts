import type { TextParser } from '../../types/type-parsers.js';

/** Parsers that node-postgres has of itself, and whose values are read straight from the binary form. */
export type OwnParser = 'bool' | 'bytea' | 'integer' | 'float' | 'date' | 'dateArray';

const INSTANT = new Date(Date.UTC(2026, 1, 2, 22, 35, 6, 789));
const LOCAL = new Date(2026, 1, 3, 4, 5, 6, 7);
const BEFORE_CHRIST = new Date(Date.UTC(2026, 2, 15, 12));
BEFORE_CHRIST.setUTCFullYear(-43);
const FIRST_CENTURY = new Date(2026, 11, 31);
FIRST_CENTURY.setFullYear(99);

/**
 * Texts, and what node-postgres makes of them: with its oddities, so that whatever reads them all in the same way is
 * its parser, or one that may be taken for it. An application may have set one of its own long before this is loaded,
 * and there is no other way to ask for the original.
 */
const SIGNS: Readonly<Record<Exclude<OwnParser, 'float'>, readonly (readonly [string, unknown])[]>> = {
  bool: [
    ['t', true],
    ['f', false],
    ['yes', true],
    ['T', false],
    ['', false],
  ],
  bytea: [
    ['\\x00ff41', Buffer.from([0, 0xff, 0x41])],
    ['a\\\\b\\001', Buffer.from('a\\b\u0001', 'latin1')],
  ],
  integer: [
    ['7', 7],
    ['-12', -12],
    ['0x10', 0],
    ['12 monkeys', 12],
    ['', NaN],
  ],
  date: [
    ['2026-02-03 04:05:06.789999+05:30', INSTANT],
    ['2026-02-03 04:05:06.0079', LOCAL],
    ['0044-03-15 12:00:00+00 BC', BEFORE_CHRIST],
    ['0099-12-31', FIRST_CENTURY],
    ['infinity', Infinity],
    ['-infinity', -Infinity],
    ['no date', null],
  ],
  dateArray: [
    ['{"2026-02-03 04:05:06.789999+05:30",NULL,infinity}', [INSTANT, null, Infinity]],
    ['{{"0044-03-15 12:00:00+00 BC"}}', [[BEFORE_CHRIST]]],
    ['', null],
  ],
};

export function readsAsNodePostgres(own: OwnParser, parse: TextParser): boolean {
  // It is JavaScript's own.
  if (own === 'float') return parse === (parseFloat as TextParser);
  return SIGNS[own].every(([text, value]) => {
    try {
      return isSame(parse(text), value);
    } catch {
      return false;
    }
  });
}

function isSame(found: unknown, wanted: unknown): boolean {
  if (Array.isArray(wanted)) {
    return (
      Array.isArray(found) && found.length === wanted.length && wanted.every((each, at) => isSame(found[at], each))
    );
  }
  if (wanted instanceof Date) return isDate(found) && found.getTime() === wanted.getTime();
  if (Buffer.isBuffer(wanted)) return Buffer.isBuffer(found) && wanted.equals(found);
  return Object.is(found, wanted);
}

/** A date of another context is none of ours to `instanceof`. Nor may it be of a class of the application's own. */
function isDate(found: unknown): found is Date {
  return Object.prototype.toString.call(found) === '[object Date]' && (found as Date).constructor.name === 'Date';
}
