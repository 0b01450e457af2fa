import 'reflect-metadata';
import { afterEach, describe, expect, it } from '@jest/globals';
import { Injectable, UseGuards, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { type as arktype } from 'arktype';
import {
  OnLogicalMessage,
  OnTableChange,
  RowSchemaError,
  table,
  type Change,
  type InsertChange,
  type StandardSchemaV1,
} from 'nestjs-pg-listener';
import { insert, remove, truncate, update } from 'nestjs-pg-listener/testing';
import * as valibot from 'valibot';
import { z } from 'zod';
import { Update } from '#lib/changes/change.js';
import { TransactionInfo } from '#lib/changes/transaction.js';
import { withSchema } from '#lib/events/row-schema.js';
import { EnhancedApplications } from '../enhancers/enhanced-application.js';

interface Raw {
  id: number;
  total: string;
}
interface Order {
  id: number;
  total: number;
}

const Rows = table<Raw>('orders');
const raw = (id: number, total: string) => insert('orders', { id, total });

const SCHEMAS: Record<string, StandardSchemaV1<any, Order>> = {
  zod: z.object({ id: z.number(), total: z.string().regex(/^\d/).transform(Number) }),
  valibot: valibot.object({
    id: valibot.number(),
    total: valibot.pipe(valibot.string(), valibot.regex(/^\d/), valibot.transform(Number)),
  }),
  arktype: arktype({ id: 'number', total: 'string.numeric.parse' }),
};
const LATER: StandardSchemaV1<Raw, Order> = {
  '~standard': {
    version: 1,
    vendor: 'test',
    validate: async (value) => SCHEMAS['zod']!['~standard'].validate(value),
  },
};

describe('the schema of a handler', () => {
  const apps = new EnhancedApplications();
  const { boot } = { boot: apps.boot.bind(apps) };
  afterEach(() => apps.close());

  it.each([...Object.entries(SCHEMAS), ['an asynchronous one', LATER] as const])(
    'by %s: what it makes of the row is the record; the row of others stays what it is',
    async (_, schema) => {
      const seen: unknown[] = [];
      @Injectable()
      class Orders {
        @OnTableChange(Rows, 'insert', { schema, onExhausted: 'skip', retry: { attempts: 5 } })
        onInsert(change: InsertChange<Order>): void {
          const { operation, id, table: name } = change;
          seen.push(change.record, operation, id.endsWith('/0'), name, change.toJSON()['record']);
        }
        @OnTableChange(Rows, 'insert')
        onRaw(change: InsertChange<Raw>): void {
          seen.push(change.record);
        }
      }
      const { listener, logs } = await boot([Orders]);
      await listener.emit(raw(1, '12.5'));
      const made = { id: 1, total: 12.5 };
      expect(seen).toEqual([made, 'insert', true, 'orders', made, { id: 1, total: '12.5' }]);
      await listener.emit(raw(2, 'secret'));
      expect(seen.slice(6)).toEqual([{ id: 2, total: 'secret' }]);
      expect(listener.stats()).toMatchObject({ failures: 1, skipped: 1 });
      expect(
        logs.find(/Orders\.onInsert failed on .* \(attempt 1\): A row of public\.orders .* schema: total/),
      ).toBeDefined();
      expect(logs.find('secret')).toBeUndefined();
    },
  );

  it('is no attempt that could be made again: the policy decides at once', async () => {
    @Injectable()
    class Orders {
      @OnTableChange(Rows, 'insert', { schema: SCHEMAS['zod']!, retry: { attempts: 9 } })
      onInsert(): void {}
    }
    const { listener } = await boot([Orders]);
    const error = await listener.emit(raw(1, 'x')).then(
      () => undefined,
      (thrown: unknown) => thrown as RowSchemaError,
    );
    expect(error).toBeInstanceOf(RowSchemaError);
    expect(error).toMatchObject({ code: 'PG_LISTENER_ROW_SCHEMA', fatal: false });
    expect(error!.issues[0]!.path).toEqual(['total']);
    expect(Object.keys(error!)).not.toContain('issues');
    expect(listener.stats().failures).toBe(1);
  });

  it('is for rows as they are now: deletes and truncates pass', async () => {
    const seen: unknown[] = [];
    @Injectable()
    class Orders {
      @OnTableChange('orders', ['insert', 'update', 'delete', 'truncate'], { schema: SCHEMAS['zod'] })
      onChange(change: Change): void {
        seen.push([change.operation, 'record' in change ? change.record : null]);
        if (change.operation === 'update') seen.push(change.oldRecord, change.changedColumns);
      }
    }
    const { listener } = await boot([Orders]);
    const old = { id: 1, total: '1' };
    await listener.emit(update('orders', { id: 1, total: '2' }, old), remove('orders', { id: 1 }), truncate('orders'));
    const made = { id: 1, total: 2 };
    expect(seen).toEqual([['update', made], old, ['total'], ['delete', null], ['truncate', null]]);
  });

  it('fails a row whose large columns were not sent, and says how to have them', () => {
    const method = withSchema(SCHEMAS['zod']!, false, () => undefined);
    const info = new TransactionInfo('default', 1n, 7, new Date());
    const place = { walHigh: 0, walLow: 1, ordinal: 0, index: 0 };
    const change = new Update(info, { schema: 'public', table: 'my "orders"' }, place, { id: 1 }, null, null, [
      'total',
    ]);
    expect(() => method.call({}, change, {})).toThrow(
      'leaves as they are (total): let the schema do without them, set `toast: \'reread\'`, or ALTER TABLE "public"."my ""orders""" REPLICA',
    );
  });

  it.each([
    ['synchronous', SCHEMAS['zod']!],
    ['asynchronous', LATER],
  ])('of an array, %s: rows that do not fit have failed, each for itself', async (_, schema) => {
    const seen: unknown[] = [];
    @Injectable()
    class Orders {
      @OnTableChange(Rows, 'insert', { schema, batch: { size: 10 }, onExhausted: 'skip', retry: { attempts: 3 } })
      async onInserts(changes: readonly InsertChange<Order>[]): Promise<unknown> {
        seen.push(changes.map(({ record }) => record.id));
        return changes.map(({ record }) => (record.id === 3 && seen.length === 1 ? new Error('3') : undefined));
      }
    }
    const { listener } = await boot([Orders]);
    await listener.emit(raw(1, '1'), raw(2, 'x'), raw(3, '3'), raw(4, '4'));
    // 2 fails at once and is taken apart from 3, which is tried again.
    expect(seen).toEqual([[1, 3, 4], [3]]);
    expect(listener.stats()).toMatchObject({ skipped: 1, changesHandled: 4 });
  });

  it('may fail all of an array, and then nothing is called', async () => {
    const seen: unknown[] = [];
    @Injectable()
    class Orders {
      @OnTableChange(Rows, 'insert', { schema: SCHEMAS['zod']!, batch: { size: 10 }, onExhausted: 'skip' })
      onInserts(changes: readonly InsertChange<Order>[]): void {
        seen.push(changes);
      }
    }
    const { listener } = await boot([Orders]);
    await listener.emit(raw(1, 'x'), raw(2, 'y'));
    expect(seen).toEqual([]);
    expect(listener.stats().skipped).toBe(2);
  });

  it('is the first thing of all: guards get the row that it has made', async () => {
    const seen: unknown[] = [];
    @Injectable()
    class Guard implements CanActivate {
      canActivate(context: ExecutionContext): boolean {
        seen.push(context.getArgs<[InsertChange<Order>]>()[0].record);
        return true;
      }
    }
    @Injectable()
    class Orders {
      @OnTableChange(Rows, 'insert', { schema: SCHEMAS['zod']!, onExhausted: 'skip' })
      @UseGuards(Guard)
      onInsert(): void {}
    }
    const { listener } = await boot([Orders]);
    await listener.emit(raw(1, '7'), raw(2, 'x'));
    expect(seen).toEqual([{ id: 1, total: 7 }]);
  });

  it('is refused at boot where it is none, and where there are no rows', async () => {
    @Injectable()
    class Orders {
      @OnTableChange('orders', 'insert', { schema: { parse: () => 1 } as never })
      onInsert(): void {}
      @OnLogicalMessage('x', { schema: SCHEMAS['zod'] } as never)
      onMessage(): void {}
    }
    const boots = boot([Orders]);
    await expect(boots).rejects.toThrow(/onInsert .* schema is an object that is no Standard Schema/);
    await expect(boots).rejects.toThrow(/onMessage .* asks for `schema`, which is for rows/);
  });
});
