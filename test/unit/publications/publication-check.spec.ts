import { describe, expect, it } from '@jest/globals';
import { TablePattern } from '#lib/changes/table-pattern.js';
import { comparePublications, tableList, type PublishedTable } from '#lib/publications/publication-check.js';
import type { TableRow, TableSubscription } from '#lib/publications/publication-plan.js';

const [INSERT, UPDATE, DELETE, ALL] = [1, 2, 4, 15] as const;
const TABLES = [tableOf('1', 'orders'), tableOf('2', 'parted', { kind: 'p' }), tableOf('3', 'part_1', { root: '2' })];

function tableOf(oid: string, table: string, more: Partial<TableRow> = {}): TableRow {
  return { oid, schema: 'public', table, kind: 'r', isPermanent: true, root: null, hasIdentity: true, ...more };
}

function carried(table: string, mask: number = ALL): PublishedTable {
  return { schema: 'public', table, mask };
}

function wants(patterns: string | string[], mask: number = ALL, source = 'Orders.onChange'): TableSubscription {
  return { pattern: new TablePattern([patterns].flat()), mask, source };
}

function compare(published: PublishedTable[], ...subscriptions: TableSubscription[]) {
  return comparePublications(TABLES, published, subscriptions, 'Mine');
}

describe("the user's publications", () => {
  it('are right where they carry what is named', () => {
    expect(compare([carried('orders')], wants('orders'), wants('public.orders', UPDATE))).toEqual({
      faults: [],
      warnings: [],
    });
    expect(compare([carried('orders', INSERT)], wants('orders', INSERT))).toEqual({ faults: [], warnings: [] });
  });

  it('must carry a table that is named outright, and the SQL says how', () => {
    expect(compare([], wants('orders')).faults).toEqual([
      'no publication of this app carries public.orders (Orders.onChange): ALTER PUBLICATION "Mine" ADD TABLE "public"."orders";',
    ]);
  });

  it('must not give a table different column lists', () => {
    const { faults } = compare([{ ...carried('orders'), isContradictory: true }], wants('orders'));
    expect(faults).toEqual([expect.stringMatching(/^the publications give public.orders different column lists/)]);
  });

  it('that make UPDATE fail for a table without an identity are told in a warning, with the SQL', () => {
    const tables = [tableOf('1', 'orders', { hasIdentity: false })];
    const warningsOf = (mask: number) =>
      comparePublications(tables, [carried('orders', mask)], [wants('orders', INSERT)], 'Mine').warnings;
    expect(warningsOf(ALL)).toEqual([expect.stringContaining('ALTER TABLE "public"."orders" REPLICA IDENTITY FULL;')]);
    expect(warningsOf(INSERT)).toEqual([]);
  });

  it('must publish the operations that are asked for by name', () => {
    const { faults, warnings } = compare([carried('orders', INSERT | DELETE)], wants('orders', INSERT | UPDATE));
    expect(warnings).toEqual([]);
    expect(faults).toEqual([
      'no publication of this app publishes update of public.orders (Orders.onChange): ' +
        `ALTER PUBLICATION "Mine" SET (publish = 'insert, update, delete');`,
    ]);
  });

  it('may publish fewer operations where none is asked for by name: that is a warning', () => {
    const { faults, warnings } = compare([carried('orders', INSERT)], wants('orders', ALL));
    expect(faults).toEqual([]);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain('publishes update, delete, truncate of public.orders');
  });

  it('that carry partitions under their own names are told how to carry the parent', () => {
    const [fault] = compare([carried('part_1')], wants('parted')).faults;
    expect(fault).toContain('SET (publish_via_partition_root = true)');
    expect(compare([carried('orders')], wants('parted')).faults[0]).toContain('ADD TABLE "public"."parted"');
  });

  it('may be made before a pattern finds its tables: a warning, once', () => {
    const { faults, warnings } = compare([carried('orders')], wants('audit.*'), wants('audit.*'), wants('*'));
    expect(faults).toEqual([]);
    expect(warnings).toEqual([
      'no publication of this app carries a table that Orders.onChange listens to: ALTER PUBLICATION "Mine" ADD TABLE ...;',
    ]);
  });

  it('cannot carry a table that does not exist', () => {
    expect(compare([carried('orders')], wants('oders')).faults[0]).toContain('there is no table public.oders');
  });
});

describe('the tables of a publication that is yet to be made', () => {
  it('are those that are named outright, each once', () => {
    expect(tableList([wants(['orders', 'shop.Items']), wants('orders'), wants('*')])).toBe(
      '"public"."orders", "shop"."Items"',
    );
    expect(tableList([wants('*')])).toBe('...');
  });
});
