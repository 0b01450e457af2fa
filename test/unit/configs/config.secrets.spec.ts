import { describe, expect, it } from '@jest/globals';
import { resolveConfig } from '#lib/configs/config.resolver.js';
import { PgListenerConfigError } from '#lib/errors/config.error.js';

const SECRET = 'pa55word';
const URL = `postgresql://user:${SECRET}@db.example:5432/shop`;
const GOOD = { connection: URL, slot: 'shop' };

function errorOf(options: unknown): PgListenerConfigError {
  try {
    resolveConfig('billing', options);
  } catch (error) {
    if (error instanceof PgListenerConfigError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('secrets', () => {
  it.each([
    ['connection', `postgresql://user:${SECRET}@@:x:/shop`],
    ['connection', `user:${SECRET}@db/shop`],
    ['connection', `postgresql:user:${SECRET}@db/shop`],
    ['connection', [`postgresql://user:${SECRET}@db/shop`]],
    ['publications', URL],
    ['subscriptions', URL],
    ['handlers', URL],
    ['retry', URL],
    ['retry', { attempts: SECRET }],
    ['limits', URL],
    ['limits', { changes: SECRET }],
    ['autoStart', URL],
    ['startup', { wait: SECRET }],
    // Two variables of the environment, taken for each other.
    ['slot', URL],
    ['slot', { name: URL }],
    ['onExhausted', URL],
    ['handlers', { 'A.b': { operations: URL } }],
    ['handlers', { 'A.b': { onExhausted: URL } }],
  ])('in a wrong value of %s are not in the error: %j', (key, value) => {
    const error = errorOf({ ...GOOD, [key]: value });
    expect(error.message).not.toContain(SECRET);
    expect(JSON.stringify(error.faults)).not.toContain(SECRET);
    expect(error.faults[0]!.path).toMatch(new RegExp(`^${key}`));
  });
});
