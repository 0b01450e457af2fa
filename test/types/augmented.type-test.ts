import { OnTableChange, table, type Change, type InsertChange, type UpdateChange } from 'nestjs-pg-listener';
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
  // @ts-expect-error one of two
  @OnTableChange(['orders', 'billing.invoices'], 'insert') g(c: InsertChange<Order>) {
    void c;
  }
}
