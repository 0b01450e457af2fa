const BYTEA = 17;
const BYTEA_ARRAY = 1001;
const BACKSLASH = 0x5c;
const QUOTE = 0x22;
const OCTAL = /^[0-7]{3}$/;
const BOUNDS = /^(?:\[-?\d+:-?\d+\])+=/;

/**
 * The parser for a column, which is kept from what no server writes: node-postgres' own for `bytea` comes to no end at a
 * backslash that stands alone.
 */
export function wholeByteaOnly<T extends (text: string) => unknown>(oid: number, parse: T): T {
  if (oid !== BYTEA && oid !== BYTEA_ARRAY) return parse;
  const isWhole = oid === BYTEA ? isWholeBytea : isWholeArray;
  return ((text: string) => {
    if (!isWhole(text)) throw new Error('a backslash that stands alone');
    return parse(text);
  }) as T;
}

/** Hex; or each backslash is doubled, or stands before three octal digits (manual, section 8.4). */
function isWholeBytea(text: string): boolean {
  if (text.startsWith('\\x')) return true;
  let at = text.indexOf('\\');
  while (at >= 0) {
    const isDoubled = text.charCodeAt(at + 1) === BACKSLASH;
    if (!isDoubled && !OCTAL.test(text.slice(at + 1, at + 4))) return false;
    at = text.indexOf('\\', at + (isDoubled ? 2 : 4));
  }
  return true;
}

/** Elements that have a backslash are quoted, all of them, and it is doubled once more (manual, section 8.15.6). */
function isWholeArray(text: string): boolean {
  let at = BOUNDS.exec(text)?.[0].length ?? 0;
  if (text[at] !== '{') return false;
  for (; at < text.length; at++) {
    const byte = text.charCodeAt(at);
    if (byte === BACKSLASH) return false;
    if (byte !== QUOTE) continue;
    const end = endOfElement(text, at + 1);
    if (end < 0 || !'{,'.includes(text[at - 1]!) || !',}'.includes(text[end + 1] ?? '?')) return false;
    at = end;
  }
  return true;
}

/** Where the quote is that ends it; -1: a backslash in it stands alone. */
function endOfElement(text: string, start: number): number {
  const isHex = text.startsWith('\\\\x', start);
  let at = isHex ? start + 3 : start;
  for (; at < text.length; at++) {
    const byte = text.charCodeAt(at);
    if (byte === QUOTE) return at;
    if (byte !== BACKSLASH) continue;
    if (isHex) return -1;
    if (text.charCodeAt(at + 1) === QUOTE) at += 1;
    else if (text.startsWith('\\\\\\\\', at)) at += 3;
    else if (text.startsWith('\\\\', at) && OCTAL.test(text.slice(at + 2, at + 5))) at += 4;
    else return -1;
  }
  return -1;
}
