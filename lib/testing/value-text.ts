import { inspect } from 'node:util';

/** A value on one line, cut where it is long. */
export function valueText(value: unknown): string {
  return inspect(value, { depth: 4, breakLength: Infinity, maxStringLength: 80, maxArrayLength: 10 });
}

/** The message of what was thrown. Not by its class: a test runner has classes of its own, and Node throws others. */
export function errorText(error: unknown): string {
  const { message = error } = Object(error) as { message?: unknown };
  return String(message);
}
