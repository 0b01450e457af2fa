import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { createDatabase, withClient, type TestDatabase } from '../../support/database.js';
import { fallsBack, ValueCatalogue, WITHOUT_VALUES } from '../../support/values/catalogue.js';
import { NAMED_THINGS } from '../../support/values/identifiers.js';
import { holds, printSeed, PROPERTY_TIMEOUT_MS } from '../../support/values/property.js';
import { createTable, VALUE_FORMATS, ValueStream, type TestTable } from '../../support/values/value-stream.js';

// The server says which types there are, so that one of a later version is not forgotten.
const catalogue = await withClient(process.env['PG_LISTENER_TEST_URL']!, (client) => ValueCatalogue.of(client));
const columns = catalogue.columns;
printSeed('built-in types');

describe('the types of the catalogue', () => {
  it('all have values here, or a reason why there are none', () => {
    const forgotten = catalogue.types.filter(
      // Row types of the catalogue's own tables; composite types are tried with the user's.
      (type) => catalogue.valuesOf(type) === undefined && !type.isRowArray && !(type.name in WITHOUT_VALUES),
    );
    expect(forgotten.map(({ name }) => name)).toEqual([]);
    expect(columns.length).toBeGreaterThan(130);
  });

  it.each(Object.keys(WITHOUT_VALUES))('%s can be no column, or refuses every value', async (name) => {
    const sql = `CREATE TEMP TABLE t (value pg_catalog.${name}); INSERT INTO t VALUES ('')`;
    const refused = withClient(process.env['PG_LISTENER_TEST_URL']!, (client) => client.query(sql));
    await expect(refused).rejects.toMatchObject({ code: expect.stringMatching(/^(0A000|42P16)$/) });
  });
});

describe.each(VALUE_FORMATS)('a value of the stream is what SELECT gives: %s', (format) => {
  const mine = format === 'text' ? columns : columns.filter((column) => !fallsBack(column));
  const tables = new Map<string, TestTable>(
    mine.map(({ name, type }, index) => [name, { name: `t${index}`, columns: [{ name: 'value', type }] }]),
  );
  let db: TestDatabase;
  let stream: ValueStream;

  beforeAll(async () => {
    db = await createDatabase();
    await db.query(NAMED_THINGS + [...tables.values()].map(createTable).join('\n'));
    stream = await ValueStream.open({ writerUrl: db.url, connection: { connectionString: db.url }, format });
  });

  afterAll(async () => {
    await stream?.close();
    await db?.drop();
  });

  it.each(mine)(
    '$name',
    async ({ name, values }) => {
      const table = tables.get(name)!;
      await stream.roundTrip(table, [[null], ...values.examples.map((each) => [each])]);
      const rows = fc.array(fc.tuple(values.arbitrary), { minLength: 1, maxLength: 16 });
      await holds(rows, (each) => stream.roundTrip(table, each));
    },
    PROPERTY_TIMEOUT_MS,
  );

  it('in the format that was asked for, to the end', async () => {
    expect(await stream.format()).toBe(format);
  });
});
