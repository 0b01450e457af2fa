import { describe, expect, it } from '@jest/globals';
import { readRetry, resolveConfig } from '#lib/configs/config.resolver.js';
import { OptionReader } from '#lib/configs/option-reader.js';
import { PgListenerConfigError, type ConfigFault } from '#lib/errors/config.error.js';

const URL = 'postgresql://user:pa55word@db.example:5432/shop';
const GOOD = { connection: URL, slot: 'shop' };

function faultsOf(options: unknown): readonly ConfigFault[] {
  try {
    resolveConfig('billing', options);
  } catch (error) {
    if (error instanceof PgListenerConfigError) return error.faults;
    throw error;
  }
  return [];
}

function pathsOf(options: unknown): string[] {
  return faultsOf(options).map(({ path }) => path);
}

describe('transactions in progress', () => {
  it('are asked for by a boolean, and what is prepared not for a slot that is synchronised', () => {
    expect(pathsOf({ ...GOOD, streaming: 'parallel', twoPhase: 1 })).toEqual(['streaming', 'twoPhase']);
    expect(pathsOf({ ...GOOD, twoPhase: true, slot: { name: 'shop', failover: true } })).toEqual(['twoPhase']);
    expect(pathsOf({ ...GOOD, twoPhase: true, slot: { name: 'shop', failover: false } })).toEqual([]);
  });
});

describe('how values are read', () => {
  it('is as a query has them, rich, or by parsers of its own', () => {
    expect(resolveConfig('a', GOOD).types).toEqual({ rich: false, parsers: {} });
    expect(resolveConfig('a', { ...GOOD, types: 'rich' }).types).toEqual({ rich: true, parsers: {} });
    const { types } = resolveConfig('a', { ...GOOD, types: { rich: true, parsers: { mood: String, 20: BigInt } } });
    expect([types.rich, { ...types.parsers }]).toEqual([true, { mood: String, 20: BigInt }]);
  });

  it('is told what is wrong with it', () => {
    const parsers = { mood: 'text', ' ': String, 99999999999: String };
    expect(pathsOf({ ...GOOD, types: 'poor' })).toEqual(['types']);
    expect(pathsOf({ ...GOOD, types: ['rich'] })).toEqual(['types']);
    expect(pathsOf({ ...GOOD, types: { rich: 'yes', parser: {}, parsers: [] } })).toEqual([
      'types.parser',
      'types.rich',
      'types.parsers',
    ]);
    expect(pathsOf({ ...GOOD, types: { parsers } }).toSorted()).toEqual([
      "types.parsers[' ']",
      "types.parsers['99999999999']",
      "types.parsers['mood']",
    ]);
  });

  it('leaves the parsers that were given to their owner', () => {
    const parsers = { mood: String };
    resolveConfig('a', { ...GOOD, types: { parsers } });
    expect(Object.isFrozen(parsers)).toBe(false);
  });
});

describe('a configuration', () => {
  it('needs a connection and a slot, and gets a default for everything else', () => {
    const config = resolveConfig('default', GOOD);
    expect(config).toMatchObject({
      name: 'default',
      slot: { name: 'shop' },
      publications: null,
      subscriptions: [],
      handlers: {},
      retry: { attempts: 5, minDelayMs: 200, maxDelayMs: 30_000, factor: 2, jitter: 0.2 },
      onExhausted: 'block',
      streaming: false,
      twoPhase: false,
      limits: { changes: 10_000, bytes: 16 * 1024 * 1024 },
      autoStart: true,
      enabled: true,
      startup: { wait: true, timeoutMs: 30_000 },
      shutdownTimeoutMs: 10_000,
    });
    expect(config.connection).toEqual({ connectionString: URL });
  });

  it('takes every option as it is given', () => {
    const handlers = {
      'Orders.onCreated': {
        tables: 'orders',
        operations: 'insert',
        retry: { attempts: 1 },
        onExhausted: 'block',
        enabled: false,
      },
    };
    const given = {
      ...GOOD,
      publications: ['a', 'b', 'a'],
      subscriptions: ['orders'],
      handlers,
      retry: { attempts: 2, minDelayMs: 0, maxDelayMs: 1, factor: 1.5, jitter: 0.5 },
      onExhausted: 'block',
      streaming: true,
      twoPhase: true,
      limits: { changes: 1, bytes: 1024 },
      autoStart: false,
      enabled: false,
      startup: { wait: false, timeoutMs: 1 },
      shutdownTimeoutMs: 0,
    };
    expect(resolveConfig('default', given)).toMatchObject({
      ...given,
      connection: { connectionString: URL },
      slot: { name: 'shop' },
      publications: ['a', 'b'],
      handlers: {
        'Orders.onCreated': { ...handlers['Orders.onCreated'], tables: ['orders'], operations: ['insert'] },
      },
    });
  });

  it('takes delays as long as a timer can be, and no longer', () => {
    const longest = 2 ** 31 - 1;
    const delays = (ms: number) => ({
      retry: { minDelayMs: ms, maxDelayMs: ms },
      startup: { timeoutMs: ms },
      shutdownTimeoutMs: ms,
    });
    expect(pathsOf({ ...GOOD, ...delays(longest) })).toEqual([]);
    expect(pathsOf({ ...GOOD, ...delays(longest + 1) }).sort()).toEqual([
      'retry.maxDelayMs',
      'retry.minDelayMs',
      'shutdownTimeoutMs',
      'startup.timeoutMs',
    ]);
  });

  it('fills in what a partial group leaves out', () => {
    expect(resolveConfig('default', { ...GOOD, retry: { attempts: 9 }, limits: { bytes: 2048 } })).toMatchObject({
      retry: { attempts: 9, minDelayMs: 200 },
      limits: { changes: 10_000, bytes: 2048 },
    });
  });

  it.each([
    'postgres://localhost/shop',
    'POSTGRESQL://localhost/shop',
    '/var/run/postgresql shop',
    { host: 'localhost', password: 'x' },
    {},
  ])('takes the connection %j', (connection) => expect(pathsOf({ ...GOOD, connection })).toEqual([]));

  it.each([['shop'], ['a'.repeat(63)], ['shop_2'], ['temporary'], [{ name: 'shop' }]])('takes the slot %j', (slot) => {
    expect(pathsOf({ ...GOOD, slot })).toEqual([]);
  });

  it('has no name for a temporary slot', () => {
    expect(resolveConfig('default', { ...GOOD, slot: 'temporary' }).slot.name).toBeNull();
  });

  it('needs neither connection nor slot where the app is switched off', () => {
    expect(pathsOf({ enabled: false })).toEqual([]);
    expect(pathsOf({ enabled: true })).toEqual(['connection', 'slot']);
  });
});

describe('a wrong configuration', () => {
  it('is told with every fault at once, each with its path, under the name of the app', () => {
    const options = {
      connection: 7,
      slot: 'No-Slot',
      publications: [],
      subscriptions: ['orders', ''],
      handlers: { 'A.b': { operations: ['upsert'], retry: { factor: 0 }, enabled: 'yes', table: 'x' } },
      retry: { attempts: 0, delay: 3 },
      onExhausted: 'explode',
      limits: { changes: 0, bytes: Number.NaN },
      autoStart: 'false',
      enabled: 1,
      startup: { wait: null, timeoutMs: 2 ** 31 },
      shutdownTimeoutMs: -1,
      conection: 'x',
    };
    expect(pathsOf(options).sort()).toEqual(
      [
        'connection',
        'slot',
        'publications',
        'subscriptions[1]',
        "handlers['A.b'].operations",
        "handlers['A.b'].retry.factor",
        "handlers['A.b'].enabled",
        "handlers['A.b'].table",
        'retry.attempts',
        'retry.delay',
        'onExhausted',
        'limits.changes',
        'limits.bytes',
        'autoStart',
        'enabled',
        'startup.wait',
        'startup.timeoutMs',
        'shutdownTimeoutMs',
        'conection',
      ].sort(),
    );
    expect(() => resolveConfig('billing', options)).toThrow(/app "billing" are invalid:\n {2}- /);
    for (const { path } of faultsOf(options)) {
      expect(() => resolveConfig('billing', options)).toThrow(`\n  - ${path}: `);
    }
  });

  it.each([[undefined], [null], ['postgres://x'], [7], [['a']], [() => undefined]])(
    'that is no object at all has a fault with a path: %p',
    (options) => {
      const faults = faultsOf(options);
      expect(faults.length).toBeGreaterThan(0);
      for (const { path } of faults) expect(path).not.toBe('');
    },
  );

  it.each(['limits', 'startup', 'retry', 'handlers'])('says that %s must be an object', (key) => {
    for (const value of [null, 'x', 7, true]) expect(pathsOf({ ...GOOD, [key]: value })).toEqual([key]);
  });

  it('names an option that there is none of, and the ones that there are', () => {
    expect(faultsOf({ ...GOOD, slotName: 'x' })).toEqual([
      { path: 'slotName', problem: expect.stringMatching(/is no option here; known are connection, slot, /) },
    ]);
    expect(pathsOf({ ...GOOD, limits: { rows: 1 }, slot: { name: 'x', plugin: 'y' } }).sort()).toEqual([
      'limits.rows',
      'slot.plugin',
    ]);
  });

  it.each(['name', 'isGlobal'])('is one whose factory returns %s: that is needed before the factory runs', (key) => {
    expect(faultsOf({ ...GOOD, [key]: 'x' })).toEqual([
      { path: key, problem: expect.stringContaining('beside the factory') },
    ]);
  });

  it('says that an environment variable is likely to be missing', () => {
    const connection = process.env['PG_LISTENER_SURELY_NOT_SET'];
    expect(faultsOf({ ...GOOD, connection })[0]!.problem).toContain('is undefined (is the environment variable set?)');
  });

  it.each([
    [{ name: '' }, 'slot.name'],
    [{}, 'slot.name'],
    ['', 'slot'],
    [undefined, 'slot'],
    [null, 'slot'],
    [7, 'slot'],
    ['Shop', 'slot'],
    ['shop-1', 'slot'],
    ['a'.repeat(64), 'slot'],
  ])('refuses the slot %j', (slot, path) => expect(pathsOf({ ...GOOD, slot })).toEqual([path]));

  it.each([
    [{ attempts: 0 }, { attempts: 1.5 }, { attempts: '3' }],
    [{ minDelayMs: -1 }, { maxDelayMs: 0 }, { maxDelayMs: 2 ** 31 }],
    [{ factor: 0.5 }, { factor: Number.NaN }, { factor: Number.POSITIVE_INFINITY }],
    [{ jitter: -0.1 }, { jitter: 1.1 }],
  ])('refuses the retry options %j', (...each) => {
    for (const retry of each) expect(pathsOf({ ...GOOD, retry })).toEqual([`retry.${Object.keys(retry)[0]}`]);
  });
});

describe("a decorator's retry options", () => {
  it('are read without defaults, so that the others stay those of the app', () => {
    const reader = new OptionReader();
    expect(readRetry(reader, 'retry', { attempts: 3, jitter: undefined })).toEqual({ attempts: 3 });
    expect(readRetry(reader, 'retry', undefined)).toEqual({});
    expect(reader.faults).toEqual([]);
  });
});

describe('handlers', () => {
  it('are an object by handler id; an array is a fault, not no handlers', () => {
    const read = (): unknown => resolveConfig('default', { connection: 'postgresql://h/d', slot: 's', handlers: [] });
    expect(read).toThrow(/handlers: is an empty array; an object by handler id is wanted/);
  });
});
