import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { UpdateChange } from 'nestjs-pg-listener';
import { createDatabase, withClient, type TestDatabase } from '../../support/database.js';
import { majorVersion, ValueCatalogue } from '../../support/values/catalogue.js';
import { NAMED_THINGS } from '../../support/values/identifiers.js';
import { holds, printSeed, PROPERTY_TIMEOUT_MS } from '../../support/values/property.js';
import { modifiedColumns, USER_TYPES, userColumns } from '../../support/values/user-types.js';
import { compare, createTable, recordsById, VALUE_FORMATS, ValueStream } from '../../support/values/value-stream.js';

const [catalogue, version] = await withClient(process.env['PG_LISTENER_TEST_URL']!, async (client) => {
  return [await ValueCatalogue.of(client), await majorVersion(client)] as const;
});
printSeed('user types');

/** A negative scale is known from 15 on. */
const modified = modifiedColumns(catalogue).filter(({ name }) => version >= 15 || name !== 'numeric(3,-2)');
const columns = [...userColumns(catalogue), ...modified].map(({ name, values }, index) => ({
  name,
  values,
  table: { name: `t${index}`, columns: [{ name: 'value', type: name }] },
}));

/** Two columns that go out of line stand before one that does not. */
const TOASTED = {
  name: 'toasted',
  columns: ['text', 'jsonb', 'bytea', 'text[]', 'int'].map((type, index) => ({ name: `c${index}`, type })),
};
const LONG = Array.from({ length: 3_000 }, (_, index) => (index * 7_919).toString(36));

/** Instants in composite types or in an array that no parser reads, and a type of an extension that nobody knows. */
const FALLS_BACK = /^(pair|nested|a_pair|stamp\[\]|cube)/;

describe.each(VALUE_FORMATS)('a value of the stream is what SELECT gives: %s', (format) => {
  const mine = format === 'text' ? columns : columns.filter(({ name }) => !FALLS_BACK.test(name));
  let db: TestDatabase;
  let stream: ValueStream;

  beforeAll(async () => {
    db = await createDatabase();
    await db.query(NAMED_THINGS + USER_TYPES + mine.map(({ table }) => createTable(table)).join('\n'));
    await db.query(createTable(TOASTED));
    for (const column of TOASTED.columns.slice(0, 4)) {
      await db.query(`ALTER TABLE toasted ALTER ${column.name} SET STORAGE EXTERNAL`);
    }
    stream = await ValueStream.open({ writerUrl: db.url, connection: { connectionString: db.url }, format });
  });

  afterAll(async () => {
    await stream?.close();
    await db?.drop();
  });

  it.each(mine)(
    '$name',
    async ({ table, values }) => {
      await stream.roundTrip(table, [[null], ...values.examples.map((each) => [each])]);
      const rows = fc.array(fc.tuple(values.arbitrary), { minLength: 1, maxLength: 16 });
      await holds(rows, (each) => stream.roundTrip(table, each));
    },
    PROPERTY_TIMEOUT_MS,
  );

  it('in the order of the columns, where an update did not touch large values under FULL identity', async () => {
    const long = LONG.join('é');
    const hex = `\\x${Buffer.from(long).toString('hex')}`;
    await stream.insert(TOASTED, [[long, JSON.stringify({ long }), hex, `{${LONG.join(',')}}`, '1']]);
    const before = await stream.select(TOASTED);
    await stream.execute('UPDATE toasted SET c4 = 2');
    const [, update] = (await stream.take(2)) as UpdateChange[];
    expect(update!.changedColumns).toEqual(['c4']);
    expect(update!.unchangedToast).toEqual([]);
    compare('old row', recordsById([update!], 'oldRecord'), before);
    compare('new row', recordsById([update!], 'record'), await stream.select(TOASTED));
  });

  it('in the format that was asked for, to the end', async () => {
    expect(await stream.format()).toBe(format);
  });
});
