import type { TextParser } from '../type-parsers.js';
import { setOwn } from './own-property.js';
import { malformed, TextScanner } from './part.js';

const COMMA = 0x2c;

/** The text of an hstore (manual, section F.17): `"key"=>"value", "other"=>NULL`. Keys are unique. */
export const parseHstore: TextParser = (text) => {
  const scanner = new TextScanner(text);
  const value: Record<string, unknown> = {};
  while (!scanner.isAtEnd) {
    if (scanner.at > 0) {
      scanner.expect(COMMA, 'comma between pairs');
      pass(scanner, ' ');
    }
    const key = scanner.quoted();
    pass(scanner, '=>');
    if (scanner.isQuoted) setOwn(value, key, scanner.quoted());
    else {
      pass(scanner, 'NULL');
      setOwn(value, key, null);
    }
  }
  return value;
};

function pass(scanner: TextScanner, word: string): void {
  if (!scanner.text.startsWith(word, scanner.at)) malformed(`no ${word}`);
  scanner.at += word.length;
}
