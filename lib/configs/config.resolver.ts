import type { ClientConfig } from 'pg';
import { PgListenerConfigError } from '../errors/config.error.js';
import type { Operation } from '../interfaces/change.interface.js';
import type { RetryOptions } from '../interfaces/pg-listener-options.interface.js';
import { kindOf, OptionReader } from './option-reader.js';
import { readTypesOption } from './types-option.js';
import { PgListenerConfig, type ResolvedHandlerOverride, type ResolvedSlot } from './pg-listener-config.js';

const KNOWN = [
  'connection',
  'slot',
  'publications',
  'subscriptions',
  'handlers',
  'retry',
  'onExhausted',
  'parked',
  'onGap',
  'service',
  'origin',
  'streaming',
  'twoPhase',
  'binary',
  'toast',
  'types',
  'globalEnhancers',
  'limits',
  'autoStart',
  'enabled',
  'startup',
  'shutdownTimeoutMs',
];
const OPERATIONS: readonly Operation[] = ['insert', 'update', 'delete', 'truncate', 'snapshot'];
export const ON_EXHAUSTED = ['block', 'park', 'skip', 'halt'] as const;
const ON_GAP = ['halt', 'continue'] as const;
const TOAST = ['omit', 'reread'] as const;
const ORIGIN = ['any', 'none'] as const;
/** More lanes than this are a mistake: each is a call in flight. */
const MOST_LANES = 10_000;
const DEFAULT_RETRY: Required<RetryOptions> = {
  attempts: 5,
  minDelayMs: 200,
  maxDelayMs: 30_000,
  factor: 2,
  jitter: 0.2,
};

/**
 * Fills in the defaults and checks everything. Pure: it opens nothing.
 *
 * @throws PgListenerConfigError with all faults at once
 */
export function resolveConfig(name: string, options: unknown): PgListenerConfig {
  const reader = new OptionReader();
  for (const outside of ['name', 'isGlobal']) {
    if (options !== null && typeof options === 'object' && outside in options) {
      reader.fault(outside, 'belongs beside the factory, not in what it returns: it is needed before the factory runs');
    }
  }
  const given = reader.object('options', options ?? null, [...KNOWN, 'name', 'isGlobal']);
  const enabled = reader.boolean('enabled', given['enabled'], true);
  const startup = reader.object('startup', given['startup'], ['wait', 'timeoutMs']);
  const parked = reader.object('parked', given['parked'], ['retryEveryMs']);
  const limits = reader.object('limits', given['limits'], ['changes', 'bytes']);
  const config = {
    name,
    connection: readConnection(reader, given['connection'], enabled),
    slot: readSlot(reader, given['slot'], enabled),
    publications: readPublications(reader, given['publications']),
    subscriptions: reader.strings('subscriptions', given['subscriptions']),
    handlers: readHandlers(reader, given['handlers']),
    retry: { ...DEFAULT_RETRY, ...readRetry(reader, 'retry', given['retry']) },
    onExhausted: reader.oneOf('onExhausted', given['onExhausted'], 'block', ON_EXHAUSTED),
    parked: {
      retryEveryMs:
        parked['retryEveryMs'] === undefined
          ? undefined
          : reader.number('parked.retryEveryMs', parked['retryEveryMs'], 60_000, { min: 100, max: 2 ** 31 - 1 }),
    },
    onGap: reader.oneOf('onGap', given['onGap'], 'halt', ON_GAP),
    service: readService(reader, given['service']),
    origin: reader.oneOf('origin', given['origin'], 'any', ORIGIN),
    streaming: reader.boolean('streaming', given['streaming'], false),
    twoPhase: reader.boolean('twoPhase', given['twoPhase'], false),
    binary: reader.boolean('binary', given['binary'], false),
    toast: reader.oneOf('toast', given['toast'], 'omit', TOAST),
    types: readTypesOption(reader, given['types']),
    globalEnhancers: reader.boolean('globalEnhancers', given['globalEnhancers'], false),
    limits: {
      changes: reader.number('limits.changes', limits['changes'], 10_000, { min: 1 }),
      bytes: reader.number('limits.bytes', limits['bytes'], 16 * 1024 * 1024, { min: 1024 }),
    },
    autoStart: reader.boolean('autoStart', given['autoStart'], true),
    enabled,
    startup: {
      wait: reader.boolean('startup.wait', startup['wait'], true),
      timeoutMs: reader.number('startup.timeoutMs', startup['timeoutMs'], 30_000, { min: 1, max: 2 ** 31 - 1 }),
    },
    shutdownTimeoutMs: reader.number('shutdownTimeoutMs', given['shutdownTimeoutMs'], 10_000, {
      min: 0,
      max: 2 ** 31 - 1,
    }),
  };
  if (config.twoPhase && config.slot.failover) {
    reader.fault('twoPhase', 'is true, and so is slot.failover: PostgreSQL makes no slot that is both');
  }
  if (reader.faults.length > 0) throw new PgListenerConfigError(name, reader.faults);
  return new PgListenerConfig(config);
}

/** Checks the retry options of a decorator, for the explorer. */
export function readRetry(reader: OptionReader, path: string, value: unknown): RetryOptions {
  const given = reader.object(path, value, Object.keys(DEFAULT_RETRY));
  const rules = {
    attempts: { min: 1 },
    minDelayMs: { min: 0, max: 2 ** 31 - 1 },
    maxDelayMs: { min: 1, max: 2 ** 31 - 1 },
    factor: { min: 1, integer: false },
    jitter: { min: 0, max: 1, integer: false },
  } as const;
  const retry: Record<string, number> = {};
  for (const [key, rule] of Object.entries(rules)) {
    if (given[key] === undefined) continue;
    retry[key] = reader.number(`${path}.${key}`, given[key], DEFAULT_RETRY[key as keyof RetryOptions], rule);
  }
  return retry;
}

function readConnection(reader: OptionReader, value: unknown, enabled: boolean): ClientConfig {
  if (typeof value === 'string' && value !== '') {
    if (/^(postgres(ql)?|socket):\/\//i.test(value) && URL.canParse(value)) return { connectionString: value };
    // node-postgres takes a socket's folder too: '/var/run/postgresql database'.
    if (value.startsWith('/')) return { connectionString: value };
    reader.fault(
      'connection',
      'is a string that is no URL of PostgreSQL; postgresql://user:password@host:5432/database is wanted, without ' +
        'quotes around it, special characters in user and password percent-encoded (# is %23)',
    );
    return {};
  }
  if (value !== null && typeof value === 'object' && !Array.isArray(value)) return { ...value };
  if (value === undefined && !enabled) return {};
  const found = value === undefined ? 'is undefined (is the environment variable set?)' : `is ${kindOf(value)}`;
  reader.fault('connection', `${found}; a URL or node-postgres' ClientConfig is wanted`);
  return {};
}

function readSlot(reader: OptionReader, value: unknown, enabled: boolean): ResolvedSlot {
  if (value === 'temporary') return { name: null, failover: false };
  if (value === undefined && !enabled) return { name: null, failover: false };
  const isObject = value !== null && typeof value === 'object';
  const object = isObject ? reader.object('slot', value, ['name', 'failover']) : {};
  const name = isObject ? object['name'] : value;
  const path = isObject ? 'slot.name' : 'slot';
  if (typeof name !== 'string' || name === '') {
    reader.fault(path, `is ${kindOf(name)}; a name of this service's own is wanted, such as 'shop', or 'temporary'`);
  } else if (!/^[a-z0-9_]{1,63}$/.test(name)) {
    reader.fault(
      path,
      'is a string that PostgreSQL refuses: it takes lower-case letters, digits and underscores, at most 63',
    );
  }
  return { name: String(name), failover: reader.boolean('slot.failover', object['failover'], false) };
}

/** Undefined: that of the nearest package.json, which is looked for when the stream starts. */
function readService(reader: OptionReader, value: unknown): string | undefined {
  if (value === undefined || (typeof value === 'string' && value !== '')) return value;
  reader.fault('service', `is ${kindOf(value)}; a name is wanted`);
  return undefined;
}

/** Of a handler: calls in flight at most. */
export function readConcurrency(reader: OptionReader, path: string, value: unknown): number | undefined {
  return value === undefined ? undefined : reader.number(path, value, 1, { min: 1, max: MOST_LANES });
}

function readPublications(reader: OptionReader, value: unknown): readonly string[] | null {
  if (value === undefined) return null;
  const names = reader.strings('publications', value);
  if (names.length === 0) {
    reader.fault('publications', 'names none; leave it out, and the module creates and extends one');
  }
  return [...new Set(names)];
}

function readHandlers(reader: OptionReader, value: unknown): Record<string, ResolvedHandlerOverride> {
  const known = ['tables', 'operations', 'concurrency', 'retry', 'onExhausted', 'enabled'];
  const given =
    value === undefined || (value !== null && typeof value === 'object' && !Array.isArray(value)) ? value : undefined;
  if (given !== value) reader.fault('handlers', `is ${kindOf(value)}; an object by handler id is wanted`);
  const handlers: Record<string, ResolvedHandlerOverride> = {};
  for (const [id, entry] of Object.entries(given ?? {})) {
    const path = `handlers['${id}']`;
    const each = reader.object(path, entry, known);
    const operations = reader.strings(`${path}.operations`, each['operations'], true);
    for (const operation of operations)
      reader.oneOf(`${path}.operations`, operation, 'insert', OPERATIONS as readonly string[]);
    handlers[id] = {
      tables: each['tables'] === undefined ? undefined : reader.strings(`${path}.tables`, each['tables'], true),
      operations: each['operations'] === undefined ? undefined : (operations as readonly Operation[]),
      concurrency: readConcurrency(reader, `${path}.concurrency`, each['concurrency']),
      retry: each['retry'] === undefined ? undefined : readRetry(reader, `${path}.retry`, each['retry']),
      onExhausted:
        each['onExhausted'] === undefined
          ? undefined
          : reader.oneOf(`${path}.onExhausted`, each['onExhausted'], 'block', ON_EXHAUSTED),
      enabled: each['enabled'] === undefined ? undefined : reader.boolean(`${path}.enabled`, each['enabled'], true),
    };
  }
  return handlers;
}
