import { inspect } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { resolveConfig } from '#lib/configs/config.resolver.js';
import { PgListenerConfig } from '#lib/configs/pg-listener-config.js';

const SECRET = 'pa55word';

function configOf(options: object = {}): PgListenerConfig {
  return resolveConfig('default', { connection: `postgresql://user:${SECRET}@db/shop`, slot: 'shop', ...options });
}

/** Paths of everything inside of a value that can be written to. */
function thawed(value: unknown, path = 'config'): string[] {
  if (value === null || typeof value !== 'object') return [];
  const here = Object.isFrozen(value) ? [] : [path];
  return [...here, ...Object.entries(value).flatMap(([key, inner]) => thawed(inner, `${path}.${key}`))];
}

describe('a resolved configuration', () => {
  const config = configOf({
    handlers: { 'A.b': { tables: ['x'], operations: ['insert'], retry: { attempts: 2 } } },
    publications: ['p'],
    subscriptions: ['orders'],
    retry: { attempts: 3 },
  });

  it('is frozen through and through', () => {
    expect(config).toBeInstanceOf(PgListenerConfig);
    expect(thawed(config)).toEqual([]);
    expect(Object.isFrozen(config.connection)).toBe(true);
    expect(() => Object.assign(config.limits, { changes: 1 })).toThrow(TypeError);
    expect(() => (config.subscriptions as string[]).push('x')).toThrow(TypeError);
  });

  it("freezes nothing that is the user's own", () => {
    const ssl = { ca: Buffer.from('ca') };
    const options = {
      connection: { host: 'x', ssl },
      slot: { name: 'shop' },
      subscriptions: ['orders'],
      retry: { attempts: 3 },
      handlers: { 'A.b': { tables: ['x'] } },
    };
    resolveConfig('default', options);
    expect(thawed(options).sort()).toContain('config.connection.ssl');
    for (const each of [options, options.connection, options.slot, options.subscriptions, options.handlers['A.b']]) {
      expect(Object.isFrozen(each)).toBe(false);
    }
  });

  it('does not follow what becomes of the options afterwards', () => {
    const options = { connection: { host: 'before' }, slot: 'shop', subscriptions: ['orders'] };
    const resolved = resolveConfig('default', options);
    options.connection.host = 'after';
    options.subscriptions.push('items');
    expect(resolved.connection.host).toBe('before');
    expect(resolved.subscriptions).toEqual(['orders']);
  });

  it.each([
    ['JSON.stringify', (value: unknown) => JSON.stringify(value)],
    ['util.inspect', (value: unknown) => inspect(value, { depth: 9 })],
    ['spread', (value: unknown) => JSON.stringify({ ...(value as object) })],
    ['Object.entries', (value: unknown) => JSON.stringify(Object.entries(value as object))],
  ])('does not show the password to %s', (_name, print) => {
    for (const connection of [`postgresql://user:${SECRET}@db/shop`, { password: SECRET }]) {
      expect(print(configOf({ connection }))).not.toContain(SECRET);
      expect(print({ nested: configOf({ connection }) })).not.toContain(SECRET);
    }
    expect(print(configOf())).toContain('shop');
  });

  it('still gives the connection to who asks for it', () => {
    expect(config.connection).toEqual({ connectionString: `postgresql://user:${SECRET}@db/shop` });
  });
});

describe('the publication that the module manages', () => {
  it('is named after the slot', () => {
    expect(configOf().managedPublication).toBe('pg_listener_shop');
    expect(configOf({ slot: 'temporary' }).managedPublication).toBe('pg_listener_temporary');
  });

  it('fits into a name of PostgreSQL with room for a suffix, and still tells long slots apart', () => {
    const names = ['a'.repeat(63), `${'a'.repeat(62)}b`, 'a'.repeat(44), 'a'.repeat(45)].map(
      (slot) => configOf({ slot }).managedPublication,
    );
    expect(new Set(names).size).toBe(names.length);
    for (const name of names) expect(Buffer.byteLength(`${name}_append`)).toBeLessThanOrEqual(63);
    expect(names[2]).toBe(`pg_listener_${'a'.repeat(44)}`);
  });
});
