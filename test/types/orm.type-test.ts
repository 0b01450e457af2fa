// row types of ORMs, without augmentation
import { bigint, customType, date, integer, pgTable, text, timestamp } from 'drizzle-orm/pg-core';
import {
  InjectChanges,
  OnSchemaChange,
  OnTableChange,
  OnTransaction,
  PgListenerModule,
  type Change,
  type DeleteChange,
  type DriverRow,
  type InsertChange,
  type PgListener,
  type SchemaChange,
  type Transaction,
  type TransactionalContext,
  type UpdateChange,
  type ValidatedChange,
} from 'nestjs-pg-listener';
import { drizzle, type DrizzleContext } from 'nestjs-pg-listener/drizzle';
import { insert, update } from 'nestjs-pg-listener/testing';
import { typeorm, type TypeormContext } from 'nestjs-pg-listener/typeorm';
import { Column, Entity, EntitySchema, PrimaryColumn } from 'typeorm';
import { z } from 'zod';

const upper = customType<{ data: string; driverData: Buffer }>({ dataType: () => 'bytea' });
const orders = pgTable('orders', {
  id: integer('order_id').primaryKey(),
  totalCents: bigint('total_cents', { mode: 'bigint' }).notNull(),
  dueOn: date('due_on', { mode: 'string' }),
  at: timestamp().notNull(),
  days: date({ mode: 'string' }).array(),
  blob: upper('blob').notNull(),
  // Names that classes and tables have, too.
  name: text('name').notNull(),
});
const schema = { orders };
const Cents = z.object({ id: z.number(), totalCents: z.bigint().transform(Number) });
type Checked = z.output<typeof Cents>;
type Mapped = typeof orders.$inferSelect;
interface Raw {
  order_id: number;
  total_cents: string;
  due_on: Date | null;
  at: Date;
  days: Date[] | null;
  blob: Buffer;
  name: string;
}

@Entity()
class Customer {
  @PrimaryColumn('int', { name: 'customer_id' })
  id!: number;
  @Column('text', { name: 'full_name' })
  fullName!: string;
  greet(): string {
    return this.fullName;
  }
}

interface Parcel {
  id: number;
  dueOn: string;
}
const Parcels = new EntitySchema<Parcel>({ name: 'Parcel', columns: { id: { type: 'int', primary: true } } });

export class Good {
  @OnTableChange(orders, 'insert') a({ record }: InsertChange<Raw>) {
    return record.total_cents.length;
  }
  @OnTableChange(orders, 'insert') a2({ record }: InsertChange<DriverRow<typeof orders>>) {
    const all: Raw = record;
    return all;
  }
  @OnTableChange(orders, 'insert', { mapped: true }) b({ record }: InsertChange<Mapped>) {
    const cents: bigint = record.totalCents;
    return cents;
  }
  @OnTableChange(orders, 'update', {
    mapped: { casing: 'snake_case' },
    whenChanged: ['totalCents'],
    oldRecord: ['dueOn'],
  })
  c({ changedColumns }: UpdateChange<Mapped>) {
    const names: readonly (keyof Mapped)[] | null = changedColumns;
    return names;
  }
  @OnTableChange(orders, 'update', { whenChanged: ['total_cents'] }) d(c: UpdateChange<Raw>) {
    return c.hasColumn('due_on');
  }
  @OnTableChange(Customer, 'insert', { mapped: true }) e({ record }: InsertChange<Customer>) {
    return record.greet();
  }
  @OnTableChange(Customer, 'insert') f({ record }: InsertChange<Customer>) {
    return record.fullName;
  }
  @OnTableChange([orders, Customer], 'insert', { mapped: true }) g(c: InsertChange<Mapped> | InsertChange<Customer>) {
    return c.id;
  }
  @OnTableChange(orders, 'insert', { batch: { size: 9 }, mapped: true }) h(cs: readonly InsertChange<Mapped>[]) {
    return cs.length;
  }
  @OnTableChange(orders) i(c: Change<Raw>) {
    return c.id;
  }
  @OnSchemaChange([orders, Customer, 'audit.*']) s(c: SchemaChange) {
    return c.table;
  }
  @OnTableChange(Customer, 'insert', { transactional: typeorm() }) async t(
    c: InsertChange<Customer>,
    x: TypeormContext,
  ) {
    await x.manager.save(Customer, c.record);
    await x.client.query('SELECT 1');
  }
  @OnTableChange(orders, 'insert', { transactional: drizzle({ schema }), mapped: true })
  async u({ record }: InsertChange<Mapped>, { db }: DrizzleContext<typeof schema>) {
    const row = await db.query.orders.findFirst();
    await db.insert(orders).values({ ...record, at: row!.at });
  }
  @OnTransaction({ transactional: drizzle() }) async v(t: Transaction, { db }: DrizzleContext) {
    await db.execute(t.lsn);
  }
  @OnTableChange(orders, 'insert', { transactional: typeorm() }) w(c: InsertChange<Raw>, x: TransactionalContext) {
    void [c, x];
  }
  @OnTableChange(orders, 'insert', { mapped: true, schema: Cents }) y({ record }: InsertChange<Checked>) {
    return record.totalCents.toFixed(2);
  }
  // The row as it was has not been through the schema.
  @OnTableChange(orders, ['update', 'delete'], {
    mapped: true,
    schema: Cents,
    whenChanged: ['totalCents'],
    transactional: typeorm(),
  })
  async z(c: ValidatedChange<Mapped, 'update', typeof Cents> | DeleteChange<Mapped>, x: TypeormContext) {
    if (c.operation === 'update') await x.manager.query(c.record.totalCents.toFixed(2));
    const before: bigint | undefined = c.oldRecord?.totalCents;
    return before;
  }
  // An entity schema does not tell its type.
  @OnTableChange(Parcels, 'update', { mapped: true, whenChanged: ['dueOn'] }) ab({ record }: UpdateChange<Parcel>) {
    return record.dueOn.length;
  }
  @OnTableChange([Parcels, Customer], 'insert') ac(c: InsertChange<any>) {
    return c.id;
  }
  @OnTableChange(Customer, 'insert', { schema: z.object({ id: z.number() }), batch: { size: 2 }, mapped: true })
  aa(cs: readonly InsertChange<{ id: number }>[]) {
    return cs.length;
  }
}

export class Bad {
  // @ts-expect-error a delete, of an entity schema too
  @OnTableChange(Parcels, 'delete') z(c: InsertChange<Parcel>) {
    void c;
  }
  // @ts-expect-error by property, and rows are not mapped
  @OnTableChange(orders, 'insert') a(c: InsertChange<Mapped>) {
    void c;
  }
  // @ts-expect-error by column, and rows are mapped
  @OnTableChange(orders, 'insert', { mapped: true }) b(c: InsertChange<Raw>) {
    void c;
  }
  // @ts-expect-error Drizzle's value, where node-postgres' comes
  @OnTableChange(orders, 'insert') c(c: InsertChange<{ total_cents: bigint }>) {
    void c;
  }
  // @ts-expect-error a column, where properties are wanted
  @OnTableChange(orders, 'update', { mapped: true, whenChanged: ['total_cents'] }) d(c: UpdateChange<Mapped>) {
    void c;
  }
  // @ts-expect-error a property, where columns are wanted
  @OnTableChange(orders, 'update', { whenChanged: ['totalCents'] }) e(c: UpdateChange<Raw>) {
    void c;
  }
  // @ts-expect-error no such casing
  @OnTableChange(orders, 'update', { mapped: { casing: 'kebab-case' } }) f(c: UpdateChange<Mapped>) {
    void c;
  }
  // @ts-expect-error another entity
  @OnTableChange(Customer, 'insert', { mapped: true }) g(c: InsertChange<{ nope: 1 }>) {
    void c;
  }
  // @ts-expect-error a row type that is given beside a name is not mapped
  @OnTableChange<Raw>('orders', 'insert', { mapped: true }) h(c: InsertChange<Raw>) {
    void c;
  }
  // @ts-expect-error what the schema makes of it is no bigint
  @OnTableChange(orders, 'insert', { mapped: true, schema: Cents }) l(c: InsertChange<Mapped>) {
    void c;
  }
  // @ts-expect-error a column, where properties are wanted, with a schema too
  @OnTableChange(orders, 'update', { mapped: true, schema: Cents, oldRecord: ['due_on'] }) m(c: UpdateChange<any>) {
    void c;
  }
  // @ts-expect-error no manager without the adapter
  @OnTableChange(orders, 'insert', { transactional: true }) i(c: InsertChange<Raw>, x: TypeormContext) {
    void [c, x];
  }
  // @ts-expect-error the other adapter
  @OnTableChange(orders, 'insert', { transactional: drizzle() }) j(c: InsertChange<Raw>, x: TypeormContext) {
    void [c, x];
  }
  // @ts-expect-error the database knows no such schema
  @OnTransaction({ transactional: drizzle() }) k(t: Transaction, x: DrizzleContext<typeof schema>) {
    void [t, x];
  }
}

export const emitted = [
  insert(orders, {
    order_id: 1,
    total_cents: '1',
    due_on: null,
    at: new Date(),
    days: null,
    blob: Buffer.of(1),
    name: 'x',
  }),
  // @ts-expect-error by property
  insert(orders, { id: 1 }),
  update(orders, {
    order_id: 1,
    // @ts-expect-error another type
    total_cents: 1n,
    due_on: null,
    at: new Date(),
    days: null,
    blob: Buffer.of(1),
    name: 'x',
  }),
];
export const features = PgListenerModule.forFeature([orders, Customer, Parcels, 'audit']);
export const decorators = [InjectChanges(orders), InjectChanges(Customer, { app: 'billing' }), InjectChanges(Parcels)];
declare const listener: PgListener;
listener.changes(orders, 'insert').subscribe(({ record }) => {
  const cents: string = record.total_cents;
  void cents;
});
