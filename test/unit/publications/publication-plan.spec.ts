import { describe, expect, it } from '@jest/globals';
import { TablePattern } from '#lib/changes/table-pattern.js';
import {
  planPublications,
  type PublicationPlan,
  type TableRow,
  type TableSubscription,
} from '#lib/publications/publication-plan.js';

const [INSERT, UPDATE, DELETE, TRUNCATE, ALL] = [1, 2, 4, 8, 15] as const;
let nextOid = 1;

function tableOf(name: string, more: Partial<TableRow> = {}): TableRow {
  const [schema, table] = name.split('/') as [string, string];
  return {
    oid: String(nextOid++),
    schema,
    table,
    kind: 'r',
    isPermanent: true,
    root: null,
    hasIdentity: true,
    ...more,
  };
}

function wants(patterns: string | string[], mask: number = ALL, source = 'Orders.onChange'): TableSubscription {
  return { pattern: new TablePattern([patterns].flat()), mask, source };
}

function plan(tables: TableRow[], ...subscriptions: TableSubscription[]) {
  return namesOf(planPublications(tables, subscriptions));
}

function namesOf({ full, append, faults, warnings }: PublicationPlan) {
  expect(faults).toEqual([]);
  const names = (tables: readonly TableRow[]) => tables.map(({ schema, table }) => `${schema}/${table}`);
  return { full: names(full), append: names(append), warnings };
}

function faultOf(tables: TableRow[], ...subscriptions: TableSubscription[]): string {
  const { faults } = planPublications(tables, subscriptions);
  expect(faults).not.toEqual([]);
  return faults.join('\n');
}

describe('the tables of a publication', () => {
  const tables = [tableOf('public/orders'), tableOf('public/audit_log'), tableOf('shop/items'), tableOf('shop/Orders')];

  it('are those that somebody wants, and no others', () => {
    expect(plan(tables, wants('orders'), wants('shop.items', INSERT))).toEqual({
      full: ['public/orders', 'shop/items'],
      append: [],
      warnings: [],
    });
    expect(plan(tables)).toEqual({ full: [], append: [], warnings: [] });
  });

  it('follow patterns and exclusions', () => {
    expect(plan(tables, wants(['*', '!audit_log'])).full).toEqual(['public/orders', 'shop/items', 'shop/Orders']);
    expect(plan(tables, wants('shop.*')).full).toEqual(['shop/items', 'shop/Orders']);
  });

  it('hold a table that one excludes and another wants, once', () => {
    expect(plan(tables, wants(['*', '!audit_log']), wants('audit_log'), wants('orders')).full).toHaveLength(4);
  });

  it('may be none where a pattern finds none: there may be some tomorrow', () => {
    expect(plan(tables, wants('later.*'))).toEqual({
      full: [],
      append: [],
      warnings: [expect.stringContaining('No table matches what Orders.onChange listens to')],
    });
    expect(plan(tables, wants(['orders', 'later.*'])).warnings).toEqual([]);
  });
});

describe('a table that is named and missing', () => {
  it('is an error which says who named it', () => {
    const fault = faultOf([tableOf('public/orders')], wants('shop.items', INSERT, 'Items.onCreated'));
    expect(fault).toContain('there is no table shop.items (Items.onCreated)');
    expect(fault).not.toContain('did you mean');
  });

  it.each([
    ['orders', 'public/Orders', 'public.Orders'],
    ['ORDERS', 'public/orders', 'public.orders'],
    ['orders', 'shop/orders', 'shop.orders'],
    ['"a.B"', 'public/a.b', 'public."a.b"'],
  ])('is an error with a proposal: %s for %s', (asked, there, proposed) => {
    expect(faultOf([tableOf(there)], wants(asked))).toContain(`; did you mean ${proposed}?`);
  });

  it('comes with every other fault at once', () => {
    const tables = [tableOf('public/summary', { kind: 'v' }), tableOf('public/log', { hasIdentity: false })];
    const fault = faultOf(tables, wants('a'), wants('b'), wants('summary'), wants('log'));
    expect(fault.split('\n')).toHaveLength(4);
    for (const name of ['public.a', 'public.b', 'public.summary', 'public.log']) expect(fault).toContain(name);
  });
});

describe('a table without a replica identity', () => {
  const log = () => [tableOf('public/the log', { hasIdentity: false }), tableOf('public/orders')];

  it.each([
    ['update', UPDATE],
    ['delete', DELETE],
    ['everything', ALL],
  ])('is an error with the SQL that mends it where it is named for %s', (_name, mask) => {
    const fault = faultOf(log(), wants('the log', mask, 'Log.onChange'));
    expect(fault).toContain('public.the log has no primary key');
    expect(fault).toContain('(Log.onChange)');
    expect(fault).toContain('ALTER TABLE "public"."the log" REPLICA IDENTITY FULL');
  });

  it('goes into the publication of inserts and truncates where no more is asked of it', () => {
    expect(plan(log(), wants('the log', INSERT | TRUNCATE), wants('orders'))).toEqual({
      full: ['public/orders'],
      append: ['public/the log'],
      warnings: [],
    });
  });

  it('never gets into the one that publishes updates, and is warned of, where only a pattern takes it', () => {
    const { full, append, warnings } = plan(log(), wants('*'));
    expect({ full, append }).toEqual({ full: ['public/orders'], append: ['public/the log'] });
    expect(warnings).toEqual([expect.stringContaining('public.the log')]);
    expect(warnings[0]).toContain('inserts and truncates only');
  });

  it('is not warned of where the pattern asks for inserts only', () => {
    expect(plan(log(), wants('*', INSERT)).warnings).toEqual([]);
  });
});

describe('what cannot be published', () => {
  it.each([
    ['a view', { kind: 'v' }],
    ['a materialised view', { kind: 'm' }],
    ['a foreign table', { kind: 'f' }],
    ['an unlogged or temporary table', { isPermanent: false }],
  ])('%s is an error where it is named, and passed over where a pattern takes it', (name, more) => {
    const tables = [tableOf('public/thing', more), tableOf('public/orders')];
    expect(faultOf(tables, wants('thing', INSERT, 'A.b'))).toMatch(new RegExp(`public.thing is ${name}.*\\(A.b\\)`));
    expect(plan(tables, wants('*'))).toEqual({ full: ['public/orders'], append: [], warnings: [] });
  });
});

describe('a name', () => {
  it('names its table and no other: neither of its schema nor of its name', () => {
    const tables = [tableOf('shop/log'), tableOf('public/log', { kind: 'v' }), tableOf('shop/view', { kind: 'v' })];
    expect(plan(tables, wants(['*', 'shop.log'])).full).toEqual(['shop/log']);
  });
});

describe('a partition', () => {
  const root = tableOf('public/events', { kind: 'p' });
  const parts = ['events_2025', 'events_2026'].map((name) => tableOf(`public/${name}`, { root: root.oid }));

  it('is published through its topmost parent', () => {
    expect(plan([root, ...parts], wants('*')).full).toEqual(['public/events']);
    expect(plan([...parts, root], wants('events*')).full).toEqual(['public/events']);
    expect(plan([root, ...parts], wants('events')).full).toEqual(['public/events']);
  });

  it('is published by itself where nobody wants the parent', () => {
    expect(plan([root, ...parts], wants('events_2025')).full).toEqual(['public/events_2025']);
    expect(plan([root, ...parts], wants(['*', '!events'])).full).toEqual(['public/events_2025', 'public/events_2026']);
  });
});
