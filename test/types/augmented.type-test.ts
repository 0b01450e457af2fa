import {
  OnSchemaChange,
  OnTableChange,
  table,
  type Change,
  type SchemaChange,
  type InsertChange,
  type UpdateChange,
} from 'nestjs-pg-listener';
import { expect } from '@jest/globals';
import {
  alter,
  assertOutcome,
  insert,
  LivePgListener,
  remove,
  TestPgListener,
  update,
} from 'nestjs-pg-listener/testing';
interface Order {
  id: number;
  status: string;
}
interface Invoice {
  id: number;
  total: string;
}
declare module 'nestjs-pg-listener' {
  interface PgListenerTables {
    orders: Order;
    'billing.invoices': Invoice;
  }
  interface PgListenerApps {
    ledger: { invoices: Invoice };
  }
}
export class Good {
  @OnTableChange('orders', 'insert') a(c: InsertChange<Order>) {
    void c;
  }
  @OnTableChange('public.orders', 'insert') b(c: InsertChange<Order>) {
    void c;
  }
  @OnTableChange('billing.*', 'insert') c(c: InsertChange<any>) {
    void c;
  }
  @OnTableChange(['orders', 'billing.invoices'], 'insert') d(c: InsertChange<Order> | InsertChange<Invoice>) {
    void c;
  }
  @OnTableChange('invoices', 'insert', { app: 'ledger' }) e(c: InsertChange<Invoice>) {
    void c;
  }
  @OnTableChange('orders', 'update', { whenChanged: ['status'] }) f(c: UpdateChange<Order>) {
    void c;
  }
  @OnTableChange('*') g(c: Change) {
    void c;
  }
  @OnTableChange(table<{ x: 1 }>('untyped_elsewhere'), 'insert') h(c: InsertChange<{ x: 1 }>) {
    void c;
  }
  @OnSchemaChange('invoices', { app: 'ledger' }) s(c: SchemaChange) {
    void c;
  }
  @OnTableChange<Order>('orders', 'insert') i(c: InsertChange<Order>) {
    void c;
  }
}
export class Bad {
  // @ts-expect-error wrong row
  @OnTableChange('orders', 'insert') a(c: InsertChange<Invoice>) {
    void c;
  }
  // @ts-expect-error wrong table
  @OnTableChange('ordes', 'insert') b(c: InsertChange<Order>) {
    void c;
  }
  // @ts-expect-error table of another app
  @OnTableChange('invoices', 'insert') c(c: InsertChange<Invoice>) {
    void c;
  }
  // @ts-expect-error app that is not declared
  @OnTableChange('invoices', 'insert', { app: 'ledgr' }) d(c: InsertChange<Invoice>) {
    void c;
  }
  // @ts-expect-error wrong row in another app
  @OnTableChange('invoices', 'insert', { app: 'ledger' }) e(c: InsertChange<Order>) {
    void c;
  }
  // @ts-expect-error unknown column
  @OnTableChange('orders', 'update', { whenChanged: ['nope'] }) f(c: UpdateChange<Order>) {
    void c;
  }
  // @ts-expect-error table of another app
  @OnSchemaChange('invoices') s(c: SchemaChange) {
    void c;
  }
  // @ts-expect-error one of two
  @OnTableChange(['orders', 'billing.invoices'], 'insert') g(c: InsertChange<Order>) {
    void c;
  }
}
export const emitted = [
  insert('orders', { id: 1, status: 'new' }),
  insert('public.orders', { id: 1, status: 'new' }),
  insert('billing.invoices', { id: 1, total: '1.00' }),
  insert(table<Invoice>('elsewhere'), { id: 1, total: '1.00' }),
  insert<'invoices', 'ledger'>('invoices', { id: 1, total: '1.00' }),
  update('orders', { id: 1, status: 'paid' }, { id: 1 }),
  remove('orders', { id: 1 }),
  alter('orders', { columns: [{ name: 'id' }] }, { columns: [{ name: 'id', typeOid: 20 }] }),
  // @ts-expect-error a column without a name
  alter('orders', { columns: [{ typeOid: 23 }] }, { columns: [] }),
  // @ts-expect-error no such table
  insert('ordes', { id: 1, status: 'new' }),
  // @ts-expect-error a pattern
  insert('billing.*', { id: 1, total: '1.00' }),
  // @ts-expect-error no such column
  insert('orders', { id: 1, status: 'new', colour: 'red' }),
  // @ts-expect-error a column is missing
  update('orders', { id: 1 }),
  // @ts-expect-error another type
  remove('orders', { id: '1' }),
];

export async function asked(): Promise<void> {
  const listener = new TestPgListener();
  expect(listener).toHaveHandled('orders', { record: { id: 1, status: expect.any(String) }, times: 1 });
  expect(listener).toHaveHandled('public.orders', { oldRecord: { id: 1 } });
  expect(listener).not.toHaveParked('billing.invoices', { record: { total: '1' } });
  expect(listener).toHaveRetried(table<{ x: 1 }>('untyped_elsewhere'), { record: { x: 1 } });
  expect(listener).toHaveSkipped({ handler: 'Orders.onCreated' });
  assertOutcome(listener, 'handled', 'orders', { record: { id: 1 } });
  listener.faults.fail({ table: 'orders', where: (change) => change.operation === 'insert' && change.record.id === 1 });
  const [found] = listener.journal.find('handled', 'orders');
  if (found !== undefined && 'operation' in found.subject && found.subject.operation === 'insert') {
    const id: number = found.subject.record.id;
    void id;
  }
  await listener.journal.until('handled', 'orders', { record: { status: 'new' }, timeoutMs: 10 });

  const ledger = new LivePgListener('ledger');
  expect(ledger).toHaveHandled('invoices', { record: { total: '1' } });
  ledger.faults.delay({ table: 'invoices' }, 5);

  // @ts-expect-error a table that there is not
  expect(listener).toHaveHandled('ordes');
  // @ts-expect-error a column that there is not
  expect(listener).toHaveHandled('orders', { record: { total: '1' } });
  // @ts-expect-error a value of another type
  expect(listener).toHaveHandled('orders', { record: { id: 'one' } });
  // @ts-expect-error an outcome that there is not
  assertOutcome(listener, 'handed', 'orders');
  // @ts-expect-error a table of another app
  expect(listener).toHaveHandled('invoices');
  // @ts-expect-error a table of another app
  expect(ledger).toHaveHandled('orders');
  // @ts-expect-error a table of another app
  ledger.faults.fail({ table: 'orders' });
  // @ts-expect-error a column that there is not
  listener.faults.fail({ table: 'orders', where: (c) => c.operation === 'insert' && c.record.total === 1 });
  // @ts-expect-error a table that there is not
  listener.journal.find('handled', 'ordes');
  // @ts-expect-error an app that there is not
  void new TestPgListener('ledgr');
}
