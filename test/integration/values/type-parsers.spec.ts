import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { DecodeError, type InsertChange } from 'nestjs-pg-listener';
import pg from 'pg';
import { recorderOf, startApplication } from '../../support/application.js';
import { createDatabase, slotToBeFree, withClient, type TestDatabase } from '../../support/database.js';
import { fallsBack, ValueCatalogue } from '../../support/values/catalogue.js';
import { arrayOf } from '../../support/values/containers.js';
import { NAMED_THINGS } from '../../support/values/identifiers.js';
import { holds, printSeed, PROPERTY_TIMEOUT_MS, SEED } from '../../support/values/property.js';
import { createTable, VALUE_FORMATS, ValueStream } from '../../support/values/value-stream.js';
import { WideTable, wideTables } from '../../support/values/wide-table.js';
import { waitFor } from '../../support/wait.js';

const BOOL = 16;
const INT8 = 20;
const TEXT = 25;
const DATE = 1082;
const INT8_ARRAY = 1016;
const NUMERIC = 1700;

/** As decimal libraries have it. */
class Decimal {
  constructor(readonly digits: string) {}
}

const catalogue = await withClient(process.env['PG_LISTENER_TEST_URL']!, (client) => ValueCatalogue.of(client));
const scalar = (name: string): ReturnType<ValueCatalogue['scalar']> => catalogue.scalar(name);
/** Its declared type is not what node-postgres has. */
const { create } = pg.types.arrayParser as unknown as {
  create(text: string, read: (element: string | null) => unknown): { parse(): unknown };
};
const bigints = (text: string): unknown => create(text, (each) => (each === null ? null : BigInt(each))).parse();
const PARSERS: readonly (readonly [number, (text: string) => unknown])[] = [
  [INT8, BigInt],
  [DATE, (text) => text],
  [NUMERIC, (text) => new Decimal(text)],
  [INT8_ARRAY, bigints],
];
printSeed('type parsers');

const own = new WideTable('own', [
  { name: 'big', type: 'int8', values: scalar('int8') },
  { name: 'bigs', type: 'int8[]', values: arrayOf(scalar('int8')) },
  { name: 'day', type: 'date', values: scalar('date') },
  { name: 'amount', type: 'numeric', values: scalar('numeric') },
  { name: 'big_domain', type: 'big_domain', values: scalar('int8') },
  { name: 'untouched', type: 'timestamptz', values: scalar('timestamptz') },
]);
const all = wideTables(catalogue.columns);
/** Every type whose text can be made of its binary form, whoever reads the text. */
const sessionless = wideTables(
  catalogue.columns.filter((column) => !fallsBack(column) && !/^_?timestamptz$/.test(column.name)),
  'binary_',
);

describe.each(VALUE_FORMATS)('parsers of the user, values in %s', (format) => {
  const restore: (() => void)[] = [];
  let db: TestDatabase;
  let stream: ValueStream | undefined;

  /** As an application does at its start. */
  function setTypeParser(oid: number, parse: (text: string) => unknown): void {
    const original = pg.types.getTypeParser(oid as never, 'text');
    restore.push(() => pg.types.setTypeParser(oid, original));
    pg.types.setTypeParser(oid, parse);
  }

  async function open(types?: pg.CustomTypesConfig, { url } = db): Promise<ValueStream> {
    const connection = { connectionString: url, ...(types === undefined ? {} : { types }) };
    return (stream = await ValueStream.open({ writerUrl: url, connection, format }));
  }

  async function holdsOf(table: WideTable): Promise<void> {
    await stream!.roundTrip(table, table.exampleRows());
    await holds(table.randomRows(), (rows) => stream!.roundTrip(table, rows));
  }

  beforeAll(async () => {
    db = await createDatabase();
    await db.query(`CREATE DOMAIN big_domain AS int8; ${createTable(own)}
      CREATE TABLE broken (id int PRIMARY KEY, "se cret" text, other int);`);
  });

  afterEach(async () => {
    for (const each of restore.splice(0)) each();
    await stream?.close();
    stream = undefined;
  });

  afterAll(() => db?.drop());

  it(
    'set with types.setTypeParser read the stream too',
    async () => {
      for (const [oid, parse] of PARSERS) setTypeParser(oid, parse);
      await open();
      await holdsOf(own);
    },
    PROPERTY_TIMEOUT_MS,
  );

  it(
    'given as `types` of the connection read the stream too, and win over those of setTypeParser',
    async () => {
      const types = new pg.TypeOverrides();
      for (const [oid, parse] of PARSERS) {
        types.setTypeParser(oid, parse);
        setTypeParser(oid, () => 'of setTypeParser');
      }
      await open(types);
      await holdsOf(own);
    },
    PROPERTY_TIMEOUT_MS,
  );

  it('give what they make, an instance of a class too', async () => {
    for (const [oid, parse] of PARSERS) setTypeParser(oid, parse);
    await open();
    await stream!.insert(own, [['9007199254740993', '{1,NULL}', '2026-02-03', '1.10', '7', null]]);
    const [{ record }] = (await stream!.take(1)) as [InsertChange];
    expect(record).toEqual({
      id: 1,
      big: 9007199254740993n,
      bigs: [1n, null],
      day: '2026-02-03',
      amount: new Decimal('1.10'),
      big_domain: 7n,
      untouched: null,
    });
    expect(record['amount']).toBeInstanceOf(Decimal);
  });

  it(
    'that leave all text as it is give the very text of a query, for every type',
    async () => {
      const tables = format === 'text' ? all : sessionless;
      const other = await createDatabase();
      try {
        await other.query(NAMED_THINGS + tables.map(createTable).join('\n'));
        await open({ getTypeParser: () => (text: string) => text }, other);
        for (const table of tables) await holdsOf(table);
        expect(await stream!.format()).toBe(format);
      } finally {
        await stream?.close();
        stream = undefined;
        await other.drop();
      }
    },
    PROPERTY_TIMEOUT_MS,
  );

  it('do not read what the listener itself asks the server', async () => {
    setTypeParser(BOOL, (text) => text);
    setTypeParser(TEXT, (text) => `${text}!`);
    const types: pg.CustomTypesConfig = { getTypeParser: () => (text: string) => `<${text}>` };
    for (const connection of [{ connectionString: db.url }, { connectionString: db.url, types }]) {
      const Recorder = recorderOf('broken');
      const slot = db.slot('questions');
      // Twice: the second start finds a slot and publications, and reads what they are like.
      for (const id of [1, 2]) {
        const app = await startApplication({ connection, slot, binary: format === 'binary' }, [Recorder]);
        try {
          await db.query(`INSERT INTO broken VALUES (${id})`);
          await waitFor(() => Recorder.changes.length === id, `change ${id}`);
        } finally {
          await app.close();
        }
      }
      await db.query('DELETE FROM broken');
      await slotToBeFree(db, slot);
      await db.query(`SELECT pg_drop_replication_slot('${slot}')`);
      await db.query('DELETE FROM nestjs_pg_listener.slots');
    }
  });

  it('that throw halt the app with the table and the column, and never the value', async () => {
    const secret = `secret ${fc.sample(fc.uuid(), { seed: SEED, numRuns: 1 })[0]!}`;
    const types: pg.CustomTypesConfig = {
      getTypeParser: (oid: number) => (text: string) => {
        if (oid === TEXT) throw new RangeError(`cannot read ${text}`);
        return text;
      },
    };
    const connection = { connectionString: db.url, types };
    const Recorder = recorderOf('broken');
    const app = await startApplication({ connection, slot: 'temporary', binary: format === 'binary' }, [Recorder]);
    try {
      await db.query(`INSERT INTO broken VALUES (1, NULL)`);
      await db.query('INSERT INTO broken VALUES (2, $1)', [secret]);
      const { error } = await waitFor(() => (app.listener.status.state === 'halted' ? app.listener.status : null));
      expect(error).toBeInstanceOf(DecodeError);
      expect(error!.message).toContain('public.broken');
      expect(error!.message).toContain('"se cret"');
      expect(error!.message).not.toContain(secret);
      expect(app.logs.find('Halted')).toContain('public.broken');
      expect(app.logs.find(secret)).toBeUndefined();
      expect(Recorder.changes.map((change) => (change as InsertChange).record['id'])).toEqual(['1']);
      const client = new pg.Client(connection);
      await client.connect();
      try {
        await expect(client.query('SELECT * FROM broken')).rejects.toThrow(RangeError);
      } finally {
        await client.end();
      }
    } finally {
      await app.close();
    }
  });
});
