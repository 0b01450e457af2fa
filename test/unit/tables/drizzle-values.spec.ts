import { describe, expect, it } from '@jest/globals';
import {
  alias,
  bigint,
  date,
  integer,
  interval,
  pgMaterializedView,
  pgTable,
  pgTableCreator,
  pgView,
  text,
  timestamp,
} from 'drizzle-orm/pg-core';
import { OnTableChange } from 'nestjs-pg-listener';
import { toCamelCase, toSnakeCase } from 'drizzle-orm/casing';
import { Insert } from '#lib/changes/change.js';
import { TransactionInfo } from '#lib/changes/transaction.js';
import { TableResolver } from '#lib/tables/table-resolver.js';

const resolver = new TableResolver();
const mapped = (table: Parameters<TableResolver['resolve']>[0], row: Record<string, unknown>, options = {}): object => {
  const change = new Insert(
    new TransactionInfo('default', 1n, 1, new Date(0)),
    { schema: 'public', table: 'x' },
    { walHigh: 0, walLow: 1, ordinal: 0, index: 0 },
    row,
  );
  return (resolver.resolve(table).mapping(options).map(change) as Insert).record;
};

describe('a Drizzle table', () => {
  it('is known under its first name, whatever it is aliased to, and by its prefix', () => {
    const prefixed = pgTableCreator((name) => `shop_${name}`)('orders', { id: integer() });
    expect(resolver.resolve(prefixed).name).toBe('public.shop_orders');
    expect(resolver.resolve(alias(prefixed, 'o')).name).toBe('public.shop_orders');
  });

  it('is none where it is a view, and the decorator says so', () => {
    const orders = pgTable('orders', { id: integer(), name: text() });
    for (const view of [
      pgView('seen').as((query) => query.select().from(orders)),
      pgView('there', { name: text() }).existing(),
      pgMaterializedView('kept').as((query) => query.select().from(orders)),
    ]) {
      expect(() => {
        class Handlers {
          @OnTableChange(['orders', view as never], 'insert')
          order(): void {}
        }
        return Handlers;
      }).toThrow('Handlers.order names a Drizzle view: a view has no rows of its own to change');
    }
  });

  it('gets names in the casing that is asked for as Drizzle writes them', () => {
    const names = [
      'orderId',
      'HTTPStatus',
      'line2Text',
      'aB',
      'already_snake',
      'Order',
      'x1Y2',
      'someHTTPCode',
      "it'sMine",
      'A1',
    ];
    const table = pgTable('cased', Object.fromEntries(names.map((name) => [name, integer()])));
    for (const [casing, write] of [
      ['snake_case', toSnakeCase],
      ['camelCase', toCamelCase],
    ] as const) {
      const row = Object.fromEntries(names.map((name, index) => [write(name), index]));
      expect(mapped(table, row, { casing })).toEqual(Object.fromEntries(names.map((name, index) => [name, index])));
    }
  });

  it('gets what the clock showed, to the millisecond, and what is no date as the server writes it', () => {
    const table = pgTable('times', {
      day: date({ mode: 'string' }),
      dayDate: date({ mode: 'date' }),
      at: timestamp({ mode: 'string' }),
      atDate: timestamp({ mode: 'date' }),
      never: date({ mode: 'string' }),
      forever: timestamp({ mode: 'string' }),
      zoned: timestamp({ mode: 'string', withTimezone: true }),
    });
    const local = new Date(2026, 6, 9, 1, 2, 3, 4);
    const row = {
      day: new Date(2026, 6, 9),
      dayDate: new Date(2026, 6, 9),
      at: local,
      atDate: local,
      never: -Infinity,
      forever: Infinity,
      zoned: new Date('2026-07-09T01:02:03.004Z'),
    };
    expect(mapped(table, row)).toEqual({
      day: '2026-07-09',
      dayDate: new Date('2026-07-09T00:00:00Z'),
      at: '2026-07-09 01:02:03.004',
      atDate: new Date('2026-07-09T01:02:03.004Z'),
      never: '-infinity',
      forever: 'infinity',
      zoned: '2026-07-09 01:02:03.004+00',
    });
  });

  it('gets a text as the server would have written it: no empty fraction, years before Christ', () => {
    const table = pgTable('texts', {
      whole: timestamp({ mode: 'string' }),
      half: timestamp({ mode: 'string' }),
      zoned: timestamp({ mode: 'string', withTimezone: true }),
      ides: date({ mode: 'string' }),
      first: timestamp({ mode: 'string' }),
    });
    const ides = new Date(2026, 2, 15);
    ides.setFullYear(-43);
    const first = new Date(2026, 0, 1, 0, 0, 0);
    first.setFullYear(1);
    const row = {
      whole: new Date(2026, 6, 9, 1, 2, 3),
      half: new Date(2026, 6, 9, 1, 2, 3, 500),
      zoned: new Date('2026-07-09T01:02:03Z'),
      ides,
      first,
    };
    expect(mapped(table, row)).toEqual({
      whole: '2026-07-09 01:02:03',
      half: '2026-07-09 01:02:03.5',
      zoned: '2026-07-09 01:02:03+00',
      ides: '0044-03-15 BC',
      first: '0001-01-01 00:00:00',
    });
  });

  it('leaves alone what came as text, and SQL null within arrays', () => {
    const table = pgTable('texts', {
      at: timestamp({ mode: 'string' }),
      span: interval(),
      counts: bigint({ mode: 'bigint' }).array().array(),
      text: bigint({ mode: 'bigint' }).array(),
    });
    const row = {
      at: '2026-07-09 01:02:03.000004',
      span: '1 day',
      counts: [
        ['1', null],
        ['2', '3'],
      ],
      text: '{4,5}',
    };
    expect(mapped(table, row)).toEqual({
      at: row.at,
      span: '1 day',
      counts: [
        [1n, null],
        [2n, 3n],
      ],
      text: [4n, 5n],
    });
  });
});
