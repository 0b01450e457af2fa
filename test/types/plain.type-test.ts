// no augmentation
import { Injectable } from '@nestjs/common';
import {
  OnLogicalMessage,
  OnSchemaChange,
  OnTableChange,
  OnTransaction,
  table,
  PgListener,
  type Change,
  type InsertChange,
  type Toastable,
  type UpdateChange,
  type DeleteChange,
  type TruncateChange,
  type PgListenerContext,
  type LogicalMessage,
  type SchemaChange,
  type StandardSchemaV1,
  type Transaction,
  type TransactionalContext,
  type ValidatedChange,
} from 'nestjs-pg-listener';
interface Order {
  id: number;
  status: string;
}
class OrderEntity {
  id!: number;
  status!: string;
}
interface ParsedOrder {
  id: number;
  status: 'new' | 'paid';
  at: Date;
}
const Orders = table<Order>('orders');
declare const parsed: StandardSchemaV1<unknown, ParsedOrder>;
@Injectable()
export class Good {
  @OnTableChange('orders', 'insert') a(c: InsertChange<Order>) {
    return c.record.status;
  }
  @OnTableChange('orders', ['update', 'delete'], { whenChanged: ['status'], concurrency: 8 }) async b(
    c: UpdateChange<Order> | DeleteChange<Order>,
    x: PgListenerContext,
  ) {
    void c;
    void x;
  }
  @OnTableChange('*') c(c: Change) {
    return c.operation === 'truncate' ? c.cascade : c.id;
  }
  @OnTableChange(Orders, ['update', 'delete'], { whenChanged: ['status'] }) d(
    c: UpdateChange<Order> | DeleteChange<Order>,
  ) {
    void c;
  }
  @OnTableChange(OrderEntity, 'insert') e(c: InsertChange<Order>) {
    void c;
  }
  @OnTableChange(Orders, ['update', 'delete'], { oldRecord: ['status', 'id'] }) d2(
    c: UpdateChange<Order> | DeleteChange<Order>,
  ) {
    void c;
  }
  @OnTableChange(Orders, 'delete', { oldRecord: 'full' }) d3(c: DeleteChange<Order>) {
    void c;
  }
  @OnTableChange(Orders, 'insert', { batch: { size: 100 } }) f(cs: readonly InsertChange<Order>[]) {
    return cs.map((c) => c.record.id);
  }
  @OnTableChange(Orders, 'insert', { transactional: true }) async g(c: InsertChange<Order>, x: TransactionalContext) {
    await x.client.query('select 1', [c.id]);
  }
  @OnTransaction({ transactional: true }) async g2(t: Transaction, x: TransactionalContext) {
    await x.client.query('select 1', [t.lsn]);
  }
  @OnLogicalMessage('outbox', { transactional: true }) async g3(m: LogicalMessage, x: TransactionalContext) {
    await x.client.query('select 1', [m.lsn]);
  }
  @OnSchemaChange('orders', { onExhausted: 'halt' }) async s1(c: SchemaChange, x: PgListenerContext) {
    for (const each of c.differences) {
      if (each.kind === 'column-renamed') {
        const never: false = each.isCertain;
        void [each.from.length, never, x.attempt];
      } else if (each.kind === 'column-added') void each.column.typeName?.length;
    }
  }
  @OnSchemaChange([Orders, OrderEntity, 'billing.*', '!audit']) s2({ previous, current }: SchemaChange) {
    return previous.columns.length - current.columns.length;
  }
  @OnTableChange<Order>('orders', 'insert') h(c: InsertChange<Order>) {
    void c;
  }
  @OnTableChange<Order>('orders', ['update', 'delete'], { whenChanged: ['status'], concurrency: 8 }) i(
    c: UpdateChange<Order> | DeleteChange<Order>,
    x: PgListenerContext,
  ) {
    void c;
    void x;
  }
  @OnTableChange<Order>('orders') j(c: Change<Order>) {
    void c;
  }
  @OnTableChange('orders', 'insert') k() {}
  @OnTableChange('orders', 'insert') l(c: Change<Order>) {
    void c;
  }
  @OnTableChange('orders', 'insert') @OnTableChange('orders', 'update') m(
    c: InsertChange<Order> | UpdateChange<Order>,
  ) {
    void c;
  }
  @OnTableChange(['orders', 'billing.invoices'], 'truncate') n(c: TruncateChange) {
    void c;
  }
  @OnTableChange('invoices', 'insert', { app: 'billing' }) o(c: InsertChange<Order>) {
    void c;
  }
  @OnTableChange(Orders, 'insert', { schema: parsed }) p(c: InsertChange<ParsedOrder>) {
    return c.record.at.getTime();
  }
  @OnTableChange('orders', ['insert', 'update'], { schema: parsed }) q(
    c: InsertChange<ParsedOrder> | UpdateChange<ParsedOrder>,
  ) {
    void c;
  }
  @OnTableChange(Orders, ['update', 'delete'], { schema: parsed }) r(
    c: ValidatedChange<Order, 'update', typeof parsed> | DeleteChange<Order>,
  ) {
    return c.operation === 'update' ? [c.record.at, c.oldRecord?.status?.length] : [];
  }
  @OnTableChange(Orders, 'insert', { schema: parsed, batch: { size: 9 }, transactional: true }) s(
    cs: readonly InsertChange<ParsedOrder>[],
    x: TransactionalContext,
  ) {
    void cs;
    void x;
  }
  @OnTableChange<ParsedOrder>('orders', 'insert', { schema: parsed }) t(c: InsertChange<ParsedOrder>) {
    void c;
  }
  @OnTableChange(Orders, 'insert', { schema: parsed }) u(
    c: InsertChange<ParsedOrder>,
    x: PgListenerContext,
    y: number,
  ) {
    void c;
    void x;
    void y;
  }
}
@Injectable()
export class Bad {
  // @ts-expect-error update handed to an insert handler
  @OnTableChange('orders', 'update') a(c: InsertChange<Order>) {
    void c;
  }
  // @ts-expect-error delete not accepted
  @OnTableChange('orders', ['update', 'delete']) b(c: UpdateChange<Order>) {
    void c;
  }
  // @ts-expect-error all operations, handler takes one
  @OnTableChange('orders') c(c: InsertChange<Order>) {
    void c;
  }
  // @ts-expect-error wrong row
  @OnTableChange(Orders, 'insert') d(c: InsertChange<{ nope: string }>) {
    void c;
  }
  // @ts-expect-error `oldRecord` of a column that the row does not have
  @OnTableChange(Orders, 'delete', { oldRecord: ['nope'] }) d2(c: DeleteChange<Order>) {
    void c;
  }
  // @ts-expect-error `oldRecord` of all columns is 'full'
  @OnTableChange(Orders, 'delete', { oldRecord: true }) d3(c: DeleteChange<Order>) {
    void c;
  }
  // @ts-expect-error single where a batch comes
  @OnTableChange(Orders, 'insert', { batch: { size: 9 } }) e(c: InsertChange<Order>) {
    void c;
  }
  // @ts-expect-error batch where a single comes
  @OnTableChange(Orders, 'insert') f(c: readonly InsertChange<Order>[]) {
    void c;
  }
  // @ts-expect-error client without transactional
  @OnTableChange(Orders, 'insert') g(c: InsertChange<Order>, x: TransactionalContext) {
    void c;
    void x;
  }
  // @ts-expect-error client without transactional, of a message
  @OnLogicalMessage('outbox') g2(m: LogicalMessage, x: TransactionalContext) {
    void m;
    void x;
  }
  // @ts-expect-error a row where a schema comes
  @OnSchemaChange('orders') s1(c: InsertChange<Order>) {
    void c;
  }
  // @ts-expect-error a schema change has no client
  @OnSchemaChange('orders') s2(c: SchemaChange, x: TransactionalContext) {
    void [c, x];
  }
  // @ts-expect-error a schema change is not parked
  @OnSchemaChange('orders', { onExhausted: 'park' }) s3(c: SchemaChange) {
    void c;
  }
  // @ts-expect-error a schema change has no lanes
  @OnSchemaChange('orders', { concurrency: 8 }) s4(c: SchemaChange) {
    void c;
  }
  // @ts-expect-error unknown operation
  @OnTableChange('orders', 'upsert') h(c: Change) {
    void c;
  }
  // @ts-expect-error explicit row, wrong operation
  @OnTableChange<Order>('orders', 'insert') i(c: UpdateChange<Order>) {
    void c;
  }
  // @ts-expect-error explicit row, narrower than the array
  @OnTableChange<Order>('orders', ['update', 'delete']) j(c: UpdateChange<Order>) {
    void c;
  }
  // @ts-expect-error explicit row, wrong row
  @OnTableChange<Order>('orders', ['update', 'delete']) k(c: UpdateChange<{ nope: 1 }> | DeleteChange<{ nope: 1 }>) {
    void c;
  }
  // @ts-expect-error typo in an option
  @OnTableChange(Orders, 'insert', { concurency: 8 }) l(c: InsertChange<Order>) {
    void c;
  }
  // @ts-expect-error unknown column
  @OnTableChange(Orders, 'update', { whenChanged: ['statuss'] }) m(c: UpdateChange<Order>) {
    void c;
  }
  // @ts-expect-error wrong row from an entity class
  @OnTableChange(OrderEntity, 'insert') n(c: InsertChange<{ nope: 1 }>) {
    void c;
  }
  // @ts-expect-error a row where the change comes
  @OnTableChange(Orders, 'insert') o(row: Order) {
    void row;
  }
  // @ts-expect-error the row as it is before its schema
  @OnTableChange(Orders, 'insert', { schema: parsed }) p(c: InsertChange<Order & { raw: true }>) {
    void c;
  }
  // @ts-expect-error what the schema makes has no such column
  @OnTableChange(Orders, 'insert', { schema: parsed }) q(c: InsertChange<{ nope: 1 }>) {
    void c;
  }
  // @ts-expect-error the old row has not been through the schema
  @OnTableChange(Orders, 'update', { schema: parsed }) r(c: UpdateChange<ParsedOrder>) {
    void c;
  }
  // @ts-expect-error explicit row, another schema
  @OnTableChange<{ nope: 1 }>('orders', 'insert', { schema: parsed }) s(c: InsertChange<{ nope: 1 }>) {
    void c;
  }
  // @ts-expect-error a schema is for rows
  @OnLogicalMessage('outbox', { schema: parsed }) t(m: LogicalMessage) {
    void m;
  }
}
interface Article {
  id: number;
  body: Toastable<string | null>;
}
const Articles = table<Article>('articles');
export class Toasted {
  @OnTableChange(Articles, ['insert', 'update']) a(c: InsertChange<Article> | UpdateChange<Article>) {
    if (c.operation === 'insert') {
      const whole: string | null = c.record.body;
      return whole;
    }
    const id: number = c.record.id;
    // @ts-expect-error it may be absent, which is not null
    const wrong: string | null = c.record.body;
    if (c.hasColumn('body')) {
      const right: string | null = c.record.body;
      return right;
    }
    // @ts-expect-error no such column
    c.hasColumn('bdy');
    const names: readonly ('id' | 'body')[] = c.rereadToast;
    return [id, wrong, names];
  }
}
const article: Article = { id: 1, body: 'plain strings fit' };
void article;
declare const l: PgListener;
l.changes(Orders, 'insert').subscribe((c) => {
  const s: string = c.record.status;
  void s;
});
l.changes(Orders, ['update', 'delete']).subscribe((c) => {
  const o: 'update' | 'delete' = c.operation;
  void o;
});
