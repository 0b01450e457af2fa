import fc from 'fast-check';

/** Values of one type, as text that its input function takes. */
export interface Values {
  /** Values that are always tried. */
  readonly examples: readonly string[];
  /** Values besides, at random. */
  readonly arbitrary: fc.Arbitrary<string>;
}

/** A type whose values are all known. */
export function only(...examples: string[]): Values {
  return { examples, arbitrary: fc.constantFrom(...examples) };
}

export function values(examples: readonly string[], arbitrary: fc.Arbitrary<string>): Values {
  return { examples, arbitrary };
}

/** Fewer and shorter examples, for what stands in other values: each level of quotes doubles the one below. */
export function brief({ examples, arbitrary }: Values, count: number, length = 120): Values {
  return { examples: examples.filter((each) => each.length <= length).slice(0, count), arbitrary };
}

/** A whole number as text, with this many digits at least. */
export function padded(value: number, digits = 2): string {
  return String(value).padStart(digits, '0');
}
