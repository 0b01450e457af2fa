import type { TextParser } from '../type-parsers.js';

/** How the text of something within a value is read: an element, a bound, an attribute. */
export interface Part {
  readonly parse: TextParser;
  /** The text is the value: `parse` need not be called. */
  readonly identity: boolean;
}

export function readPart({ parse, identity }: Part, text: string): unknown {
  return identity ? text : parse(text);
}

/** Never with the text: it is a user's data. */
export function malformed(what: string): never {
  throw new TypeError(`malformed text: ${what}`);
}

/** A value that is well formed, and yet not what its type is known to be. Never with the value either. */
export class UnfitValueError extends TypeError {
  constructor(
    message: string,
    /** What to do about it. */
    readonly hint: string,
  ) {
    super(message);
    this.name = 'UnfitValueError';
  }
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** A place in the text of a value. */
export class TextScanner {
  at = 0;

  constructor(readonly text: string) {}

  /** The code of the character here; NaN behind the last one. */
  get code(): number {
    return this.text.charCodeAt(this.at);
  }

  get isAtEnd(): boolean {
    return this.at >= this.text.length;
  }

  /** Passes this character. */
  expect(code: number, what: string): void {
    if (this.code !== code) malformed(`no ${what}`);
    this.at++;
  }

  expectEnd(): void {
    if (!this.isAtEnd) malformed('something behind the end');
  }

  /** What stands in quotes, from the opening one on; within, a backslash or a quote stands before a quote or a backslash. */
  quoted(): string {
    this.expect(QUOTE, 'opening quote');
    const { text } = this;
    let found = '';
    for (let from = this.at; ; from = this.at) {
      let code = this.code;
      while (code !== QUOTE && code !== BACKSLASH) {
        if (this.isAtEnd) malformed('no closing quote');
        this.at++;
        code = this.code;
      }
      const run = text.slice(from, this.at);
      found = found === '' ? run : found + run;
      this.at++;
      if (code === QUOTE && this.code !== QUOTE) return found;
      if (this.isAtEnd) malformed('no closing quote');
      found += text[this.at++]!;
    }
  }

  /** What stands without quotes, up to one of these characters. */
  bare(stop: number, orStop: number): string {
    const from = this.at;
    for (let code = this.code; code !== stop && code !== orStop; code = this.code) {
      if (this.isAtEnd || code === QUOTE || code === BACKSLASH) malformed('an element without its end');
      this.at++;
    }
    return this.text.slice(from, this.at);
  }

  get isQuoted(): boolean {
    return this.code === QUOTE;
  }
}
