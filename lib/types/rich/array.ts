import type { TextParser } from '../type-parsers.js';
import { malformed, readPart, TextScanner, type Part } from './part.js';

const OPEN = 0x7b;
const CLOSE = 0x7d;
/** The most dimensions that an array can have. */
const MOST_DIMENSIONS = 6;

/**
 * An array's text (manual, section 8.15.6) to nested arrays. Bounds other than 1 leave no trace, as in node-postgres.
 *
 * @param delimiter what stands between elements: `;` for boxes
 */
export function arrayParser(element: Part, delimiter: string): TextParser {
  const between = delimiter.charCodeAt(0);
  return (text) => {
    const scanner = new TextScanner(text);
    if (text.startsWith('[')) {
      scanner.at = text.indexOf('=') + 1;
      if (scanner.at === 0) malformed('bounds without an array');
    }
    const items = readArray(scanner, element, between, 1);
    scanner.expectEnd();
    return items;
  };
}

function readArray(scanner: TextScanner, element: Part, between: number, depth: number): unknown[] {
  if (depth > MOST_DIMENSIONS) malformed('more dimensions than an array can have');
  scanner.expect(OPEN, 'opening brace');
  const items: unknown[] = [];
  if (scanner.code === CLOSE) {
    scanner.at++;
    return items;
  }
  for (;;) {
    items.push(
      scanner.code === OPEN ? readArray(scanner, element, between, depth + 1) : readElement(scanner, element, between),
    );
    if (scanner.code === CLOSE) break;
    scanner.expect(between, 'delimiter');
  }
  scanner.at++;
  return items;
}

function readElement(scanner: TextScanner, element: Part, between: number): unknown {
  if (scanner.isQuoted) return readPart(element, scanner.quoted());
  const text = scanner.bare(between, CLOSE);
  return text === 'NULL' ? null : readPart(element, text);
}
