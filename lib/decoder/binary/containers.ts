import { readerOf } from './documents.js';
import { malformed, type ReadText } from './value-reader.js';

/** The most dimensions that an array can have. */
const MOST_DIMENSIONS = 6;
const SPACE = ' \\t\\n\\r\\v\\f';

/** How the elements of an array are read. */
export interface Element {
  /** As the array names it: a domain's own oid. */
  readonly oid: number;
  readonly text: ReadText;
  /** What stands between elements: `;` for boxes, whose text has commas. */
  readonly delimiter: string;
}

interface Dimension {
  readonly size: number;
  readonly from: number;
}

/** An array of any dimensions, with lower bounds where one is not 1, and quotes where the text needs them. */
export function arrayText({ oid, text, delimiter }: Element): ReadText {
  const trouble = new RegExp(`^$|^null$|["\\\\{}${delimiter}${SPACE}]`, 'i');
  return (b, start, end) => {
    const reader = readerOf(b, start, end);
    const count = reader.int32();
    if (count < 0 || count > MOST_DIMENSIONS) malformed(`${count} dimensions`);
    reader.int32(); // whether there are nulls
    if (reader.uint32() !== oid) malformed('elements of another type than the catalogue names');
    const dimensions: Dimension[] = [];
    for (let index = 0; index < count; index++) dimensions.push({ size: reader.int32(), from: reader.int32() });
    // An empty int2vector has one dimension of size 0; of several, none is empty.
    if (dimensions.some(({ size }) => size < (count === 1 ? 0 : 1))) malformed('a dimension without elements');
    const element = (): string => {
      const length = reader.int32();
      if (length === -1) return 'NULL';
      const at = reader.skip(length);
      const found = text(b, at, at + length);
      return trouble.test(found) ? `"${found.replace(/["\\]/g, '\\$&')}"` : found;
    };
    const part = (index: number): string => {
      if (index === count) return element();
      const items: string[] = [];
      // Each element takes bytes: what is announced and not there ends in an error, not in a long loop.
      for (let left = dimensions[index]!.size; left > 0; left--) items.push(part(index + 1));
      return `{${items.join(delimiter)}}`;
    };
    const items = count === 0 ? '{}' : part(0);
    reader.expectEnd();
    if (dimensions.every(({ from }) => from === 1)) return items;
    return `${dimensions.map(({ size, from }) => `[${from}:${from + size - 1}]`).join('')}=${items}`;
  };
}

/** int2vector and oidvector: arrays that are written as numbers with spaces between. */
export function vectorText(element: Element): ReadText {
  const array = arrayText(element);
  return (b, start, end) => {
    const text = array(b, start, end);
    return text.slice(text.indexOf('{') + 1, -1).replaceAll(',', ' ');
  };
}

const RangeFlag = { Empty: 0x01, LowerInclusive: 0x02, UpperInclusive: 0x04, LowerInfinite: 0x08, UpperInfinite: 0x10 };
const RANGE_TROUBLE = new RegExp(`^$|["\\\\()[\\],${SPACE}]`);

/** A range of this subtype. */
export function rangeText(bound: ReadText): ReadText {
  return (b, start, end) => {
    const reader = readerOf(b, start, end);
    const flags = reader.uint8();
    const next = (isInfinite: boolean): string => {
      if (isInfinite) return '';
      const length = reader.int32();
      const at = reader.skip(length);
      const text = bound(b, at, at + length);
      return RANGE_TROUBLE.test(text) ? `"${text.replace(/["\\]/g, '$&$&')}"` : text;
    };
    const isEmpty = (flags & RangeFlag.Empty) !== 0;
    const lower = isEmpty ? '' : next((flags & RangeFlag.LowerInfinite) !== 0);
    const upper = isEmpty ? '' : next((flags & RangeFlag.UpperInfinite) !== 0);
    reader.expectEnd();
    if (isEmpty) return 'empty';
    const open = (flags & RangeFlag.LowerInclusive) === 0 ? '(' : '[';
    const close = (flags & RangeFlag.UpperInclusive) === 0 ? ')' : ']';
    return `${open}${lower},${upper}${close}`;
  };
}

export function multirangeText(range: ReadText): ReadText {
  return (b, start, end) => {
    const reader = readerOf(b, start, end);
    const ranges: string[] = [];
    for (let left = reader.int32(); left > 0; left--) {
      const length = reader.int32();
      const at = reader.skip(length);
      ranges.push(range(b, at, at + length));
    }
    reader.expectEnd();
    return `{${ranges.join(',')}}`;
  };
}
