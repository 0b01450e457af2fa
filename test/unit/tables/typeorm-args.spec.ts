import { describe, expect, it } from '@jest/globals';
import { Column, DataSource, Entity, EntitySchema, JoinColumn, ManyToOne, PrimaryColumn, VirtualColumn } from 'typeorm';
import { Insert, Update } from '#lib/changes/change.js';
import { TransactionInfo } from '#lib/changes/transaction.js';
import { TableResolver } from '#lib/tables/table-resolver.js';

const place = { walHigh: 0, walLow: 1, ordinal: 0, index: 0 };
const transaction = new TransactionInfo('default', 1n, 1, new Date(0));
const relation = { schema: 'public', table: 'x' };

class Point {
  @Column('int')
  xAxis!: number;
  @Column('int', { name: 'Y_Axis' })
  y!: number;
}
class Place {
  @Column('text')
  cityName!: string;
  @Column(() => Point)
  mapPoint!: Point;
  @Column(() => Point, { prefix: 'Raw_pos' })
  raw!: Point;
  @Column(() => Point, { prefix: false })
  bare!: Point;
}
abstract class Base {
  @PrimaryColumn('int', { name: 'the_id' })
  id!: number;
  @Column('text')
  note!: string;
}
const plus = { to: (value: number) => value, from: (value: number) => value + 1 };
const times = { to: (value: number) => value, from: (value: number) => value * 10 };

@Entity()
class HTTPLogEntryV2 extends Base {
  @Column('text', { name: 'own_note' })
  declare note: string;
  @Column('int', { transformer: [plus, times] })
  count!: number;
  @Column(() => Place)
  place!: Place;
  @VirtualColumn({ query: () => 'SELECT 1' })
  made!: number;
  @ManyToOne(() => HTTPLogEntryV2)
  @JoinColumn({ name: 'parent_id' })
  parent!: HTTPLogEntryV2;
}

const reversed = { to: (value: string[]) => value, from: (value: string[] | null) => value?.toReversed() ?? 'none' };

@Entity()
class Typed {
  @PrimaryColumn('int')
  id!: number;
  @Column('date')
  day!: string;
  @Column({ type: 'date', utc: true })
  utcDay!: string;
  @Column('simple-json')
  json!: unknown;
  @Column('simple-array', { transformer: reversed })
  list!: string[];
  @Column('timestamptz')
  at!: Date;
}

/** With metadata, as after `initialize()`, and no connection. */
async function builtSource(entities: ((new () => object) | EntitySchema)[]): Promise<DataSource> {
  const source = new DataSource({ type: 'postgres', url: 'postgresql://127.0.0.1:1/none', entities });
  await (source as unknown as { buildMetadatas(): Promise<void> }).buildMetadatas();
  return source;
}

describe('an entity without a data source', () => {
  it('has the table that TypeORM gives it without a naming strategy', async () => {
    const names = [
      'Order',
      'OrderLine',
      'HTTPLog',
      'aBC',
      'ABcDEf',
      'Order2Line',
      'A',
      'XMLHttp2Request',
      'order_Line',
      'IOrder',
    ];
    const entities = names.map((name) => {
      const made = { [name]: class {} }[name]!;
      PrimaryColumn('int')(made.prototype, 'id');
      Entity()(made);
      return made;
    });
    const source = await builtSource(entities);
    const bare = new TableResolver();
    for (const entity of entities) {
      const { tableName } = source.getMetadata(entity);
      expect(bare.resolve(entity).name).toBe(`public.${tableName}`);
    }
  });

  it('has the columns, embedded and inherited ones too, that TypeORM gives it', async () => {
    const source = await builtSource([HTTPLogEntryV2]);
    const { columns } = source.getMetadata(HTTPLogEntryV2);
    const stored = columns.filter(({ isVirtualProperty }) => !isVirtualProperty);
    const row = Object.fromEntries(stored.map(({ databaseName }, index) => [databaseName, index]));
    const change = new Insert(transaction, relation, place, row);
    const exact = new TableResolver([source]).resolve(HTTPLogEntryV2).mapping({}).map(change);
    const bare = new TableResolver().resolve(HTTPLogEntryV2).mapping({}).map(change);
    expect(Object.keys(row)).toHaveLength(11);
    expect((bare as Insert).record).toEqual((exact as Insert).record);
    expect((bare as Insert).record).toMatchObject({
      id: expect.any(Number),
      note: row['note'],
      count: (row['count'] as number) * 10 + 1,
      parent_id: row['parent_id'],
      place: { mapPoint: expect.any(Point), bare: { y: row['Y_Axis'] ?? expect.any(Number) } },
    });
    expect((bare as Insert).record).not.toHaveProperty('made');
  });

  it.each([
    [
      'values',
      { id: 1, day: new Date(2026, 2, 9), utcDay: new Date('2026-03-09'), json: '[1]', list: 'a,b', at: new Date(0) },
    ],
    ['values of another kind', { id: 1, day: '2026-03-09', utcDay: Infinity, json: { n: 1 }, list: '', at: Infinity }],
    ['no values', { id: 1, day: null, utcDay: null, json: null, list: null, at: null }],
    ['some columns', { id: 1 }],
  ])('has %s as TypeORM reads them', async (_, row) => {
    const change = new Insert(transaction, relation, place, row);
    const exact = new TableResolver([await builtSource([Typed])]).resolve(Typed).mapping({}).map(change) as Insert;
    const bare = new TableResolver().resolve(Typed).mapping({}).map(change) as Insert;
    expect(bare.record).toStrictEqual(exact.record);
  });

  it('says so', async () => {
    const resolver = new TableResolver();
    resolver.resolve(HTTPLogEntryV2);
    expect(resolver.notes).toEqual([expect.stringContaining('public.http_log_entry_v2')]);
    expect(new TableResolver([await builtSource([HTTPLogEntryV2])]).notes).toEqual([]);
  });
});

describe('an entity of a data source', () => {
  const Parcels = new EntitySchema<{ id: number; dueOn: string }>({
    name: 'Parcel',
    tableName: 'parcels',
    schema: 'shop',
    columns: { id: { type: 'int', primary: true }, dueOn: { type: 'date', name: 'due_on' } },
  });

  it('may be an entity schema', async () => {
    const table = new TableResolver([await builtSource([Parcels])]).resolve(Parcels);
    expect(table.name).toBe('shop.parcels');
    const change = new Insert(transaction, relation, place, { id: 1, due_on: new Date(2026, 2, 9) });
    expect((table.mapping({}).map(change) as Insert).record).toStrictEqual({ id: 1, dueOn: '2026-03-09' });
  });

  it('is told to be one where no data source has it', () => {
    expect(() => new TableResolver().resolve(Parcels)).toThrow(
      /the entity schema Parcel is of no data source of the application: provide yours/,
    );
  });

  it('is refused where only a data source of another database has it', async () => {
    const source = await builtSource([Typed]);
    const elsewhere = await builtSource([Typed]);
    Object.assign(elsewhere, { options: { ...elsewhere.options, type: 'mysql' } });
    expect(() => new TableResolver([elsewhere]).resolve(Typed)).toThrow(
      'the class Typed is an entity of a data source of mysql',
    );
    expect(new TableResolver([elsewhere, source]).resolve(Typed).name).toBe('public.typed');
  });
});

describe('a mapped change', () => {
  const mapping = new TableResolver().resolve(HTTPLogEntryV2).mapping({});

  it('has the identity of the change, and the properties of what it says of columns', () => {
    const change = new Update(
      transaction,
      relation,
      { ...place, index: 7 },
      { the_id: 1, count: 1, ['__proto__x']: 1, placeCityname: 'x' },
      { the_id: 2 },
      ['the_id', 'placeCityname', 'placeMapPointXaxis', 'unknown'],
      ['placeMapPointXaxis', 'note'],
    );
    const mapped = mapping.map(change) as Update;
    expect(mapped.id).toBe(change.id);
    expect(mapped).toMatchObject({
      index: 7,
      changedColumns: ['id', 'place', 'unknown'],
      unchangedToast: ['place', 'note'],
    });
    expect(mapped.oldRecord).toEqual({ id: 2 });
    expect(['id', 'count', 'note', 'place'].map((each) => mapped.hasColumn(each))).toEqual([true, true, false, false]);
    expect(change.record).toHaveProperty('the_id');
  });

  it('takes no name of a column for its prototype', () => {
    const row = JSON.parse('{"the_id": 1, "__proto__": {"polluted": true}}') as Record<string, unknown>;
    const { record } = mapping.map(new Insert(transaction, relation, place, row)) as Insert;
    expect(record).toBeInstanceOf(HTTPLogEntryV2);
    expect((record as { polluted?: boolean }).polluted).toBeUndefined();
    expect(Object.hasOwn(record, '__proto__')).toBe(true);
  });

  it('is plain in JSON, whatever it is an instance of', () => {
    const row = { the_id: 1n, note: Buffer.of(1), placeCityname: new Date(0) };
    const change = mapping.map(new Insert(transaction, relation, place, row));
    expect(JSON.parse(JSON.stringify(change)).record).toEqual({
      id: '1',
      note: { type: 'Buffer', data: [1] },
      place: { cityName: '1970-01-01T00:00:00.000Z' },
    });
  });
});
