import { inspect, types } from 'node:util';

/**
 * Where two values differ, as a sentence; undefined where they are equal: the same primitive (-0 is not 0, NaN is
 * NaN), or objects with the same prototype, the same own keys in the same order and equal contents. Two invalid dates
 * are equal.
 */
export function difference(actual: unknown, expected: unknown, path = 'value'): string | undefined {
  if (Object.is(actual, expected)) return undefined;
  const differs = `${path}: ${show(actual)} instead of ${show(expected)}`;
  if (!isObject(actual) || !isObject(expected)) return differs;
  if (Object.getPrototypeOf(actual) !== Object.getPrototypeOf(expected)) return `${differs} (another prototype)`;
  if (types.isDate(actual) && types.isDate(expected) && !Object.is(actual.getTime(), expected.getTime()))
    return differs;
  if (Buffer.isBuffer(actual) && Buffer.isBuffer(expected)) return actual.equals(expected) ? undefined : differs;
  const keys = Reflect.ownKeys(expected);
  const found = Reflect.ownKeys(actual);
  if (found.length !== keys.length || found.some((key, index) => key !== keys[index])) {
    return `${path}: the keys ${show(found)} instead of ${show(keys)}`;
  }
  for (const key of keys) {
    const inner = difference(actual[key], expected[key], `${path}.${String(key)}`);
    if (inner !== undefined) return inner;
  }
  return undefined;
}

function isObject(value: unknown): value is Record<PropertyKey, unknown> {
  return typeof value === 'object' && value !== null;
}

function show(value: unknown): string {
  return inspect(value, { depth: 3, maxStringLength: 300, maxArrayLength: 20, breakLength: Infinity });
}
