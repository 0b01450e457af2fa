import { inspect } from 'node:util';

/** A value on one line, cut where it is long. */
export function valueText(value: unknown): string {
  return inspect(value, { depth: 4, breakLength: Infinity, maxStringLength: 80, maxArrayLength: 10 });
}
