import type { TextParser } from '../type-parsers.js';
import { setOwn } from './own-property.js';
import { readPart, TextScanner, type Part } from './part.js';

const OPEN = 0x28;
const CLOSE = 0x29;
const COMMA = 0x2c;

/** An attribute of a composite type, with how its text is read. */
export interface AttributePart extends Part {
  readonly name: string;
}

/**
 * A composite value's text (manual, section 8.16.6) to an object by the attributes' names.
 *
 * @param fit which attributes the fields of a text are, where there are not as many as attributes; null: of none. It may
 * throw.
 */
export function compositeParser(
  attributes: readonly AttributePart[],
  fit: (fields: readonly (string | null)[]) => readonly (string | null)[],
): TextParser {
  return (text) => {
    let fields: readonly (string | null)[] = recordFields(text, attributes.length);
    if (fields.length !== attributes.length) fields = fit(fields);
    const value: Record<string, unknown> = {};
    attributes.forEach((attribute, index) => {
      const field = fields[index]!;
      setOwn(value, attribute.name, field === null ? null : readPart(attribute, field));
    });
    return value;
  };
}

/** @param expected where it is 0, `()` is no field; otherwise it is one that is null */
export function recordFields(text: string, expected: number): (string | null)[] {
  if (text === '()' && expected === 0) return [];
  const scanner = new TextScanner(text);
  scanner.expect(OPEN, 'opening parenthesis');
  const fields: (string | null)[] = [];
  for (;;) {
    fields.push(scanner.isQuoted ? scanner.quoted() : scanner.bare(COMMA, CLOSE) || null);
    if (scanner.code === CLOSE) break;
    scanner.expect(COMMA, 'comma between attributes');
  }
  scanner.at++;
  scanner.expectEnd();
  return fields;
}
