import type { ConfigFault } from '../errors/config.error.js';

/** The kind of a value for an error text; never the value itself, which may be a secret. */
export function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return value.length === 0 ? 'an empty array' : 'an array';
  if (value === '') return 'an empty string';
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value);
  return typeof value === 'undefined' ? 'undefined' : `${/^[aeiou]/.test(typeof value) ? 'an' : 'a'} ${typeof value}`;
}

export interface NumberRule {
  readonly min: number;
  readonly max?: number;
  readonly integer?: boolean;
}

/** Reads options, notes every fault with its path, and hands out the default in its place, so that all are found. */
export class OptionReader {
  readonly faults: ConfigFault[] = [];

  fault(path: string, problem: string): void {
    this.faults.push({ path, problem });
  }

  /** An object without unknown keys; a misspelt option must not pass in silence. */
  object(path: string, value: unknown, known: readonly string[]): Record<string, unknown> {
    if (value === undefined) return {};
    if (value === null || typeof value !== 'object' || Array.isArray(value)) {
      this.fault(path, `is ${kindOf(value)}; an object is wanted`);
      return {};
    }
    for (const key of Object.keys(value)) {
      if (known.includes(key)) continue;
      this.fault(join(path, key), `is no option here; known are ${known.join(', ')}`);
    }
    return value as Record<string, unknown>;
  }

  number(path: string, value: unknown, fallback: number, rule: NumberRule): number {
    if (value === undefined) return fallback;
    const { min, max = Number.MAX_SAFE_INTEGER, integer = true } = rule;
    const fits = typeof value === 'number' && value >= min && value <= max && (!integer || Number.isInteger(value));
    if (fits) return value;
    const what = typeof value === 'number' && Number.isFinite(value) ? String(value) : kindOf(value);
    const range = max === Number.MAX_SAFE_INTEGER ? `from ${min} up` : `from ${min} to ${max}`;
    this.fault(path, `is ${what}; ${integer ? 'a whole number' : 'a number'} ${range} is wanted`);
    return fallback;
  }

  boolean(path: string, value: unknown, fallback: boolean): boolean {
    if (value === undefined) return fallback;
    if (typeof value === 'boolean') return value;
    this.fault(path, `is ${kindOf(value)}; true or false is wanted`);
    return fallback;
  }

  oneOf<T extends string>(path: string, value: unknown, fallback: T, allowed: readonly T[]): T {
    if (value === undefined) return fallback;
    if (allowed.includes(value as T)) return value as T;
    this.fault(
      path,
      `is ${typeof value === 'string' ? 'another string' : kindOf(value)}; ${allowed.map((each) => `'${each}'`).join(' or ')} is wanted`,
    );
    return fallback;
  }

  /** A list of names; one alone may stand without brackets where `single` allows it. */
  strings(path: string, value: unknown, single = false): readonly string[] {
    if (value === undefined) return [];
    const list = single && typeof value === 'string' ? [value] : value;
    if (!Array.isArray(list)) {
      this.fault(path, `is ${kindOf(value)}; an array of strings is wanted`);
      return [];
    }
    list.forEach((each, index) => {
      if (typeof each !== 'string' || each === '')
        this.fault(`${path}[${index}]`, `is ${kindOf(each)}; a name is wanted`);
    });
    return list.filter((each) => typeof each === 'string' && each !== '') as string[];
  }
}

function join(path: string, key: string): string {
  return path === 'options' ? key : `${path}.${key}`;
}
