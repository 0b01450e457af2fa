import { describe, expect, it } from '@jest/globals';
import { TablePattern } from '#lib/changes/table-pattern.js';
import { ALL_OPERATIONS, ChangeStreams, operationMask } from '#lib/events/change-streams.js';
import { HandlerRegistry } from '#lib/events/handler-registry.js';
import type { Operation } from '#lib/interfaces/change.interface.js';
import { described, runnerOf, type HandlerSpec } from './dispatcher-bench.js';

const [INSERT, UPDATE, DELETE, TRUNCATE] = [1, 2, 4, 8] as const;

function spec(id: string, tables: string[], operations: Operation[] = [], more: Partial<HandlerSpec> = {}) {
  return { id, tables, operations, run: () => undefined, ...more };
}

function registryOf(...specs: HandlerSpec[]): { registry: HandlerRegistry; streams: ChangeStreams } {
  const streams = new ChangeStreams();
  const runners = specs.map((each) => runnerOf(each));
  return { registry: new HandlerRegistry(runners, streams), streams };
}

describe('a route', () => {
  it('has the handlers of each operation in discovery order', () => {
    const { registry } = registryOf(
      spec('a', ['orders'], ['insert', 'update']),
      spec('b', ['*']),
      spec('c', ['orders'], ['insert']),
      spec('d', ['items']),
    );
    const { runners } = registry.route(described('orders'));
    const ids = Object.entries(runners).map(([operation, each]) => [operation, each.map(({ id }) => id)]);
    expect(Object.fromEntries(ids)).toEqual({
      insert: ['a', 'b', 'c'],
      update: ['a', 'b'],
      delete: ['b'],
      truncate: ['b'],
    });
  });

  it('asks for the operations that somebody handles, and no others', () => {
    const { registry } = registryOf(spec('a', ['orders'], ['insert']), spec('b', ['orders', 'items'], ['truncate']));
    expect(registry.route(described('orders')).mask).toBe(INSERT | TRUNCATE);
    expect(registry.route(described('items')).mask).toBe(TRUNCATE);
    expect(registry.route(described('orders', 'shop')).mask).toBe(0);
  });

  it('asks for nothing where snapshots alone are handled: they do not come over the stream', () => {
    const { registry } = registryOf(spec('a', ['orders'], ['snapshot']));
    expect(registry.route(described('orders'))).toMatchObject({ mask: 0, runners: { insert: [] } });
  });

  it('is one object for a table, however often it is asked for', () => {
    const { registry } = registryOf(spec('a', ['orders']));
    expect(registry.route(described('orders'))).toBe(registry.route(described('orders')));
  });

  it('does not mistake one table for another of a similar name', () => {
    const { registry } = registryOf(spec('a', ['"a.b".c']));
    expect(registry.route(described('c', 'a.b')).mask).toBe(ALL_OPERATIONS);
    expect(registry.route(described('b.c', 'a')).mask).toBe(0);
  });

  it('asks for everything where a handler takes whole transactions, without being one of its handlers', () => {
    const { registry } = registryOf(spec('a', [], [], { kind: 'transaction' }));
    expect(registry.route(described('orders'))).toMatchObject({
      mask: ALL_OPERATIONS,
      runners: { insert: [], update: [], delete: [], truncate: [] },
    });
    expect(registry.transactionRunners.map(({ id }) => id)).toEqual(['a']);
  });
});

describe('a route with observers', () => {
  it('asks for what they want too, from when they come until they leave', () => {
    const { registry, streams } = registryOf(spec('a', ['orders'], ['insert']));
    const route = registry.route(described('orders'));
    const elsewhere = registry.route(described('items'));
    const subscription = streams.changes(new TablePattern(['orders']), DELETE).subscribe();
    expect([route.mask, elsewhere.mask]).toEqual([INSERT | DELETE, 0]);
    const another = streams.changes(new TablePattern(['*']), UPDATE).subscribe();
    expect([route.mask, elsewhere.mask]).toEqual([INSERT | UPDATE | DELETE, UPDATE]);
    subscription.unsubscribe();
    expect([route.mask, elsewhere.mask]).toEqual([INSERT | UPDATE, UPDATE]);
    another.unsubscribe();
    expect([route.mask, elsewhere.mask]).toEqual([INSERT, 0]);
    expect(route.watches).toEqual([]);
  });

  it('knows of those that came before the table was described', () => {
    const { registry, streams } = registryOf();
    streams.changes(new TablePattern(['orders']), DELETE).subscribe();
    expect(registry.route(described('orders'))).toMatchObject({ mask: DELETE });
    expect(registry.route(described('orders')).watches).toHaveLength(1);
  });

  it('asks for no more when the application has closed', () => {
    const { registry, streams } = registryOf(spec('a', ['orders'], ['insert']));
    streams.changes(new TablePattern(['*']), ALL_OPERATIONS).subscribe();
    const route = registry.route(described('orders'));
    streams.close();
    expect(route.mask).toBe(INSERT);
  });
});

describe('messages', () => {
  it('go to the handlers of their prefix and to those of all, in discovery order', () => {
    const { registry } = registryOf(
      spec('a', [], [], { kind: 'message', prefix: 'outbox' }),
      spec('b', [], [], { kind: 'message', prefix: null }),
      spec('c', [], [], { kind: 'message', prefix: 'other' }),
      spec('d', ['*']),
    );
    const ids = (prefix: string) => registry.runnersOfMessage(prefix).map(({ id }) => id);
    expect(ids('outbox')).toEqual(['a', 'b']);
    expect(ids('other')).toEqual(['b', 'c']);
    expect(ids('out')).toEqual(['b']);
  });
});

describe('the mask of operations', () => {
  it.each([
    [[], ALL_OPERATIONS],
    [['insert'], INSERT],
    [['update', 'delete'], UPDATE | DELETE],
    [['truncate', 'truncate'], TRUNCATE],
    [['snapshot'], 0],
    [['snapshot', 'insert'], INSERT],
  ] as [Operation[], number][])('of %j is %i', (operations, mask) => expect(operationMask(operations)).toBe(mask));
});
