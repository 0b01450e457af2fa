import { afterEach, describe, expect, it } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import { bigint, integer, pgTable } from 'drizzle-orm/pg-core';
import { OnTableChange, PgListener, PgListenerModule, type InsertChange, type UpdateChange } from 'nestjs-pg-listener';
import { insert, TestPgListener, update } from 'nestjs-pg-listener/testing';

const orders = pgTable('orders', {
  id: integer('order_id').primaryKey(),
  cents: bigint('total_cents', { mode: 'bigint' }).notNull(),
});
type Order = typeof orders.$inferSelect;

@Injectable()
class Handlers {
  readonly seen: unknown[] = [];
  @OnTableChange(orders, ['insert', 'update'], { mapped: true, whenChanged: ['cents'] })
  order({ operation, record }: InsertChange<Order> | UpdateChange<Order>): void {
    this.seen.push([operation, record]);
  }
}

describe('a mapped handler under the testing kit', () => {
  let module: TestingModule | undefined;
  afterEach(() => module?.close());

  it('gets its records from rows as the server would send them', async () => {
    const listener = new TestPgListener();
    module = await Test.createTestingModule({
      imports: [PgListenerModule.forRoot({ connection: 'postgresql://127.0.0.1:1/none', slot: 'shop' })],
      providers: [Handlers],
    })
      .overrideProvider(PgListener)
      .useValue(listener)
      .compile();
    await module.init();
    const row = { order_id: 1, total_cents: '12' };
    await listener.emit(insert(orders, row));
    await listener.emit(update(orders, row, row));
    await listener.emit(update(orders, { ...row, total_cents: '13' }, row));
    expect(module.get(Handlers).seen).toEqual([
      ['insert', { id: 1, cents: 12n }],
      ['update', { id: 1, cents: 13n }],
    ]);
  });
});
