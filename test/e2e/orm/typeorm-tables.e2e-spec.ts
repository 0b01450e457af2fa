import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Injectable, Module, type Type } from '@nestjs/common';
import {
  HandlerDefinitionError,
  InjectChanges,
  OnSchemaChange,
  OnTableChange,
  PgListenerModule,
  type Change,
  type DeleteChange,
  type InsertChange,
  type PgListenerOptions,
  type SchemaChange,
  type UpdateChange,
} from 'nestjs-pg-listener';
import { firstValueFrom, toArray, take, type Observable } from 'rxjs';
import {
  ChildEntity,
  Column,
  DataSource,
  DefaultNamingStrategy,
  Entity,
  EntitySchema,
  JoinColumn,
  ManyToOne,
  PrimaryColumn,
  PrimaryGeneratedColumn,
  TableInheritance,
  ViewEntity,
} from 'typeorm';
import { TestApplications, type TestApplication } from '../../support/application.js';
import { createDatabase, type TestDatabase } from '../../support/database.js';
import { waitFor } from '../../support/wait.js';

class Address {
  @Column('text')
  city!: string;
  @Column('text', { name: 'zip' })
  postalCode!: string | null;
  get line(): string {
    return `${this.postalCode} ${this.city}`;
  }
}

@Entity()
class Customer {
  @PrimaryColumn('int')
  id!: number;
  @Column('text')
  fullName!: string;
}

abstract class Dated {
  @Column('timestamptz', { name: 'created_at' })
  createdAt!: Date;
}

const cents = { to: (value: number) => value, from: (value: string | null) => (value === null ? null : Number(value)) };

@Entity({ name: 'Order*Book', schema: 'shop' })
class Order extends Dated {
  @PrimaryGeneratedColumn('identity', { name: 'order_id' })
  id!: number;
  @Column('bigint', { name: 'total_cents', transformer: cents })
  totalCents!: number;
  @Column('date', { name: 'due_on' })
  dueOn!: string;
  @Column('simple-array')
  tags!: string[];
  @Column('simple-json')
  extra!: { note: string };
  @Column('text', { nullable: true })
  remark!: string | null;
  @Column(() => Address)
  shipTo!: Address;
  @ManyToOne(() => Customer)
  @JoinColumn({ name: 'customer_id' })
  customer!: Customer;

  get isLarge(): boolean {
    return this.totalCents > 1000;
  }
}

@Entity()
@TableInheritance({ column: { type: 'text', name: 'kind' } })
class Person {
  @PrimaryColumn('int')
  id!: number;
  @Column('text')
  name!: string;
}
@ChildEntity('teacher')
class Teacher extends Person {
  @Column('text', { name: 'subject_taught' })
  subject!: string;
}
@ChildEntity('student')
class Student extends Person {
  @Column('int')
  year!: number;
}

interface Parcel {
  id: number;
  dueOn: string;
}
const Parcels = new EntitySchema<Parcel>({
  name: 'Parcel',
  columns: { id: { type: 'int', primary: true }, dueOn: { type: 'date' } },
});

@ViewEntity({ expression: 'SELECT 1 AS id' })
class Report {
  id!: number;
}

/** As many of them are: snake case throughout. */
class SnakeCase extends DefaultNamingStrategy {
  override tableName(className: string, given?: string): string {
    return given ?? `t_${snake(className)}`;
  }
  override columnName(property: string, given: string | undefined, prefixes: string[]): string {
    return [...prefixes, given ?? property].map(snake).join('_');
  }
}
const snake = (name: string): string => name.replace(/([a-z])([A-Z])/g, '$1_$2').toLowerCase();

describe('tables of TypeORM', () => {
  let db: TestDatabase;
  let source: DataSource;
  const apps = new TestApplications();

  beforeAll(async () => {
    db = await createDatabase();
    await db.query('CREATE SCHEMA shop');
    source = new DataSource({
      type: 'postgres',
      url: db.url,
      entities: [Order, Customer, Person, Teacher, Student, Report, Parcels],
      namingStrategy: new SnakeCase(),
      synchronize: true,
    });
    await source.initialize();
    await db.query('ALTER TABLE shop."Order*Book" REPLICA IDENTITY FULL');
    await source.manager.insert(Customer, { id: 1, fullName: 'Ada' });
  });
  afterEach(() => apps.close());
  afterAll(async () => {
    await source.destroy();
    await db.drop();
  });

  /** With the data source in the container, as TypeOrmModule puts it there. */
  function start(
    handlers: Type[],
    {
      sources = [source],
      features = [],
      ...options
    }: Partial<PgListenerOptions> & { sources?: DataSource[]; features?: any[] } = {},
  ): Promise<TestApplication> {
    class SourceModule {}
    const providers = sources.map((useValue, index) => ({
      provide: index === 0 ? DataSource : `other${index}`,
      useValue,
    }));
    Module({ providers, exports: providers.map(({ provide }) => provide) })(SourceModule);
    const listening = { connection: db.url, slot: 'temporary' as const, service: 'shop', ...options };
    const feature = features.length === 0 ? [] : [PgListenerModule.forFeature(features)];
    return apps.start(listening, handlers, [SourceModule, ...feature]);
  }

  async function order(totalCents = 1999): Promise<Order> {
    const order = source.manager.create(Order, {
      createdAt: new Date('2026-02-03T04:05:06.789Z'),
      totalCents,
      dueOn: '2026-03-29',
      tags: ['a', 'b'],
      extra: { note: 'x' },
      remark: null,
      shipTo: { city: 'Köln', postalCode: '50667' },
      customer: { id: 1 },
    });
    return source.manager.save(order);
  }

  it('are named by their entities, and rows come as node-postgres has them', async () => {
    const changes: Change[] = [];
    @Injectable()
    class Handlers {
      @OnTableChange(Order, 'insert')
      order(change: InsertChange<Order>): void {
        changes.push(change as Change);
      }
      @OnTableChange([Customer, 'audit.*'], 'update')
      customer(change: Change): void {
        changes.push(change);
      }
    }
    await start([Handlers]);
    const { id } = await order();
    await source.manager.update(Customer, 1, { fullName: 'Ada L.' });
    await waitFor(() => changes.length === 2);
    const [row] = await db.query('SELECT * FROM shop."Order*Book" WHERE order_id = $1', [id]);
    expect(changes[0]).toMatchObject({ schema: 'shop', table: 'Order*Book' });
    expect((changes[0] as InsertChange).record).toEqual(row);
    expect(row).toMatchObject({ total_cents: '1999', ship_to_zip: '50667' });
    expect(changes[1]).toMatchObject({ schema: 'public', table: 't_customer', record: { id: 1, full_name: 'Ada L.' } });
  });

  it('give with `mapped` what the repository gives', async () => {
    const changes: Change<Order>[] = [];
    @Injectable()
    class Handlers {
      @OnTableChange(Order, ['insert', 'update', 'delete'], { mapped: true })
      order(change: InsertChange<Order> | UpdateChange<Order> | DeleteChange<Order>): void {
        changes.push(change);
      }
    }
    await start([Handlers]);
    const saved = await order();
    const before = await source.manager.findOneByOrFail(Order, { id: saved.id });
    saved.shipTo.city = 'Bonn';
    saved.totalCents = 5;
    await source.manager.save(saved);
    const after = await source.manager.findOneByOrFail(Order, { id: saved.id });
    await source.manager.remove(Object.assign(new Order(), saved));
    await waitFor(() => changes.length === 3);
    const [insert, update, remove] = changes as [InsertChange<Order>, UpdateChange<Order>, DeleteChange<Order>];
    // The repository has the join column in no property, so it stays under its own name.
    const joined = { customer_id: 1 };
    expect(insert.record).toEqual(Object.assign(before, joined));
    expect(insert.record).toBeInstanceOf(Order);
    expect([insert.record.isLarge, insert.record.shipTo.line]).toEqual([true, '50667 Köln']);
    expect(insert.record.totalCents).toBe(1999);
    expect(update.record).toEqual(Object.assign(after, joined));
    expect(update.oldRecord).toEqual(insert.record);
    expect([...update.changedColumns!].sort()).toEqual(['shipTo', 'totalCents']);
    expect(update.hasColumn('shipTo')).toBe(true);
    expect(remove.oldRecord).toEqual(update.record);
    expect(JSON.parse(JSON.stringify(update))).toMatchObject({
      record: { id: saved.id, shipTo: { city: 'Bonn', postalCode: '50667' }, dueOn: '2026-03-29' },
      changedColumns: expect.arrayContaining(['shipTo']),
    });
  });

  it('take properties in options of a mapped handler, and columns in those of another one', async () => {
    const seen: string[] = [];
    @Injectable()
    class Handlers {
      @OnTableChange(Order, 'update', { mapped: true, whenChanged: ['shipTo'], oldRecord: ['totalCents', 'shipTo'] })
      moved({ record }: UpdateChange<Order>): void {
        seen.push(record.shipTo.city);
      }
      @OnTableChange(Order, 'update', { whenChanged: ['ship_to_city' as never] })
      raw({ record }: UpdateChange<any>): void {
        seen.push(record.ship_to_city);
      }
    }
    await start([Handlers]);
    const saved = await order();
    for (const city of ['Bonn', 'Bonn', 'Trier']) {
      saved.shipTo.city = city;
      saved.totalCents += 1;
      await source.manager.save(saved);
    }
    await waitFor(() => seen.length === 4);
    expect(seen).toEqual(['Bonn', 'Bonn', 'Trier', 'Trier']);
  });

  it('leave out of `record` what the server did not send, and say so by property', async () => {
    let change: UpdateChange<Order> | undefined;
    @Injectable()
    class Handlers {
      @OnTableChange(Order, 'update', { mapped: true })
      order(update: UpdateChange<Order>): void {
        change = update;
      }
    }
    await db.query(
      'ALTER TABLE shop."Order*Book" REPLICA IDENTITY DEFAULT; ALTER TABLE shop."Order*Book" ALTER ship_to_zip SET STORAGE EXTERNAL',
    );
    await start([Handlers]);
    const saved = await order();
    await source.manager.update(Order, saved.id, { shipTo: { postalCode: 'z'.repeat(10_000) } });
    await waitFor(() => change?.record.shipTo.postalCode?.length === 10_000);
    await source.manager.update(Order, saved.id, { remark: 'x' });
    await waitFor(() => change?.record.remark === 'x');
    await db.query('ALTER TABLE shop."Order*Book" REPLICA IDENTITY FULL');
    expect(change!.unchangedToast).toEqual(['shipTo']);
    expect([change!.hasColumn('shipTo'), change!.hasColumn('remark')]).toEqual([false, true]);
    expect(Object.keys(change!.record.shipTo)).toEqual(['city']);
  });

  it('tell classes of one table apart', async () => {
    const teachers: Teacher[] = [];
    const people: Person[] = [];
    const arrays: number[][] = [];
    @Injectable()
    class Handlers {
      @OnTableChange(Teacher, 'insert', { mapped: true })
      teacher({ record }: InsertChange<Teacher>): void {
        teachers.push(record);
      }
      @OnTableChange(Person, 'insert', { mapped: true })
      person({ record }: InsertChange<Person>): void {
        people.push(record);
      }
      @OnTableChange(Student, 'insert', {
        batch: { size: 4, maxWaitMs: 10_000 },
        onExhausted: 'skip',
        retry: { attempts: 1 },
      })
      students(changes: readonly InsertChange<Student>[]): unknown {
        arrays.push(changes.map(({ record }) => record.id));
        return changes.map(({ record }) => (record.year === 3 ? new Error('no') : undefined));
      }
    }
    const app = await start([Handlers]);
    await db.query(`INSERT INTO t_person (id, name, kind, subject_taught, year)
      VALUES (1, 'Ada', 'teacher', 'maths', NULL), (2, 'Bob', 'student', NULL, 3), (3, 'Cid', 'Person', NULL, NULL), (4, 'Dee', 'student', NULL, 4)`);
    await waitFor(() => people.length === 4 && arrays.length === 1);
    await waitFor(() => app.listener.stats().skipped === 1);
    const teacher = await source.manager.findOneByOrFail(Teacher, { id: 1 });
    // What the class has no property for stays as it came.
    expect(teachers).toEqual([Object.assign(teacher, { kind: 'teacher', year: null })]);
    expect(teachers[0]!.subject).toBe('maths');
    expect(people.map((each) => each.constructor)).toEqual([Teacher, Student, Person, Student]);
    expect(arrays).toEqual([[2, 4]]);
    // Told by its place in the array that the handler was given, and found by its place in the one that came.
    expect(app.logs.find(/insert of public\.t_person \([^)]*\/1\)/)).toContain('Handlers.students');
  });

  it('can be looked on, and their schemas heard', async () => {
    const shapes: SchemaChange[] = [];
    @Injectable()
    class Looker {
      constructor(@InjectChanges(Customer) readonly customers: Observable<InsertChange<Customer>>) {}
      @OnSchemaChange(Customer)
      altered(change: SchemaChange): void {
        shapes.push(change);
      }
    }
    const app = await start([Looker], { features: [Customer] });
    const looker = app.context.get(Looker);
    const byFeature = firstValueFrom(looker.customers);
    const asked = firstValueFrom(app.listener.changes(Customer, 'insert').pipe(take(2), toArray()));
    await source.manager.insert(Customer, { id: 2, fullName: 'Bob' });
    expect(await byFeature).toMatchObject({ table: 't_customer', record: { full_name: 'Bob' } });
    await db.query(
      'ALTER TABLE t_customer ADD extra int; ALTER TABLE t_customer DROP extra; ALTER TABLE t_customer ADD more int',
    );
    await source.manager.insert(Customer, { id: 3, fullName: 'Cid' });
    expect(await asked).toHaveLength(2);
    await waitFor(() => shapes.length === 1);
    expect(shapes[0]).toMatchObject({ table: 't_customer', differences: [{ kind: 'column-added' }] });
  });

  it('may be named by entity schemas', async () => {
    const seen: unknown[] = [];
    @Injectable()
    class Handlers {
      constructor(@InjectChanges(Parcels) readonly parcels: Observable<InsertChange<any>>) {}
      @OnTableChange(Parcels, 'insert', { mapped: true })
      mapped({ record }: InsertChange<Parcel>): void {
        seen.push(record);
      }
      @OnTableChange([Parcels, 'audit.*'], ['update', 'delete'])
      raw({ operation, table }: UpdateChange<any> | DeleteChange<any>): void {
        seen.push([operation, table]);
      }
    }
    const app = await start([Handlers], { features: [Parcels] });
    const looked = firstValueFrom(app.context.get(Handlers).parcels);
    await source.manager.save(Parcels, { id: 1, dueOn: '2026-03-29' });
    await source.manager.update(Parcels, 1, { dueOn: '2026-03-30' });
    await source.manager.delete(Parcels, 1);
    await waitFor(() => seen.length === 3);
    expect(seen).toEqual([{ id: 1, dueOn: '2026-03-29' }, ['update', 't_parcel'], ['delete', 't_parcel']]);
    expect((await looked).record).toMatchObject({ id: 1, due_on: expect.any(Date) });
  });

  it('are taken from decorators where no data source is provided, which the log tells', async () => {
    @Injectable()
    class Handlers {
      @OnTableChange(Customer, 'insert', { enabled: true, mapped: true })
      customer(): void {}
    }
    await db.query('CREATE TABLE IF NOT EXISTS customer (id int PRIMARY KEY, "fullName" text)');
    const app = await start([Handlers], { sources: [] });
    expect(app.logs.find('No TypeORM data source')).toContain(
      'the entity Customer: its table is taken to be public.customer',
    );
    expect(app.logs.find('Mapped {public.customer, insert}')).toBeDefined();
  });

  it('that cannot be told stop the boot, all of them named', async () => {
    class Stranger {
      id!: number;
    }
    const other = new DataSource({ type: 'postgres', url: db.url, entities: [Customer] });
    await other.initialize();
    @Injectable()
    class Handlers {
      @OnTableChange(Stranger, 'insert')
      stranger(): void {}
      @OnTableChange(Report)
      report(): void {}
      @OnTableChange(Customer, 'update')
      customer(): void {}
      @OnTableChange('orders', 'insert', { mapped: true as never })
      name(): void {}
      @OnTableChange(Order, 'update', { mapped: true, whenChanged: ['total_cents' as never] })
      column(): void {}
      @OnSchemaChange(Order, { mapped: true } as object)
      schema(): void {}
    }
    const error = await start([Handlers], { sources: [source, other] }).catch((reason: unknown) => reason);
    await other.destroy();
    expect(error).toBeInstanceOf(HandlerDefinitionError);
    const { mistakes } = error as HandlerDefinitionError;
    const told = (method: string): string | undefined =>
      mistakes.find((each) => each.startsWith(`Handlers.${method} `));
    expect(mistakes).toHaveLength(6);
    expect(told('stranger')).toMatch(/the class Stranger is no entity/);
    expect(told('report')).toContain('the class Report is a view entity');
    expect(told('customer')).toContain('in different tables (public.t_customer, public.customer)');
    expect(told('name')).toContain('asks for `mapped`, which needs an entity class or a Drizzle table');
    expect(told('column')).toMatch(
      /names the property 'total_cents' in `whenChanged`, and rows are mapped to .*totalCents/,
    );
    expect(told('schema')).toContain('asks for `mapped`, which is for rows');
  });
});
