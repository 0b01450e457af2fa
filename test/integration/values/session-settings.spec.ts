import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { ServerSetupError, type InsertChange } from 'nestjs-pg-listener';
import { startPostgres } from 'nestjs-pg-listener/testing';
import pg from 'pg';
import { createDatabase, withClient, type TestDatabase } from '../../support/database.js';
import { fallsBack, ValueCatalogue } from '../../support/values/catalogue.js';
import { NAMED_THINGS } from '../../support/values/identifiers.js';
import { holds, printSeed, PROPERTY_TIMEOUT_MS, RUNS } from '../../support/values/property.js';
import { createTable, VALUE_FORMATS, ValueStream, type ValueStreamOptions } from '../../support/values/value-stream.js';
import { wideTables } from '../../support/values/wide-table.js';
import { waitFor } from '../../support/wait.js';

const SERVER = process.env['PG_LISTENER_TEST_URL']!;
const PINNED = `SET DateStyle = ISO; SET IntervalStyle = postgres; SET extra_float_digits = 1; SET bytea_output = hex`;
const HOSTILE: readonly Readonly<Record<string, string>>[] = [
  {
    DateStyle: "'SQL, DMY'",
    IntervalStyle: 'sql_standard',
    TimeZone: "'Asia/Kolkata'",
    extra_float_digits: '-15',
    bytea_output: 'escape',
    search_path: `'Großes Schema', public`,
    client_encoding: 'LATIN1',
  },
  {
    DateStyle: 'German',
    IntervalStyle: 'iso_8601',
    TimeZone: "'America/St_Johns'",
    extra_float_digits: '-15',
    bytea_output: 'escape',
    quote_all_identifiers: 'on',
    lc_monetary: "'C.UTF-8'",
    xmlbinary: 'hex',
  },
];
const styles = HOSTILE.map((settings) => [settings['DateStyle']!, settings] as const);

/** Types that leave all text as it is: what the server writes is compared, letter by letter. */
const AS_TEXT: pg.CustomTypesConfig = { getTypeParser: () => (text: string) => text };
const PARSERS = [
  ['read', undefined],
  ['as text', AS_TEXT],
] as const;

const catalogue = await withClient(SERVER, (client) => ValueCatalogue.of(client));
const all = wideTables(catalogue.columns);
/** Types whose values the binary format gives; as text, those whose text no session decides. */
const binary = (types: pg.CustomTypesConfig | undefined): typeof all =>
  wideTables(
    catalogue.columns.filter((column) => {
      return !fallsBack(column) && (types === undefined || !/^_?timestamptz$/.test(column.name));
    }),
    'binary_',
  );
const createAll = NAMED_THINGS + all.map(createTable).join('\n');
printSeed('session settings');

let stream: ValueStream | undefined;
afterEach(closeStream);

/** Before its database or server goes. */
async function closeStream(): Promise<void> {
  const open = stream;
  stream = undefined;
  await open?.close();
}

/** Values of every type, the stream's against the query's. */
async function compareAll(options: ValueStreamOptions, tables = all): Promise<void> {
  stream = await ValueStream.open(options);
  for (const table of tables) {
    await stream.roundTrip(table, table.exampleRows());
    await holds(table.randomRows(), (rows) => stream!.roundTrip(table, rows), Math.ceil(RUNS / 3));
  }
}

function withTypes(connectionString: string, types: pg.CustomTypesConfig | undefined): pg.ClientConfig {
  return { connectionString, ...(types === undefined ? {} : { types }) };
}

describe('settings that look hostile', () => {
  let db: TestDatabase;
  const roles: string[] = [];

  /** @returns the database's address for a new role with these settings */
  async function roleWith(settings: Readonly<Record<string, string>>): Promise<string> {
    const role = `${db.name}_role_${roles.length}`;
    await db.query(`CREATE ROLE ${role} SUPERUSER LOGIN`);
    roles.push(role);
    for (const [name, value] of Object.entries(settings)) await db.query(`ALTER ROLE ${role} SET ${name} = ${value}`);
    const url = new URL(db.url);
    url.username = role;
    return url.toString();
  }

  beforeAll(async () => {
    db = await createDatabase();
    await db.query(createAll);
  });

  afterAll(async () => {
    await db?.drop();
    await withClient(SERVER, async (client) => {
      for (const role of roles) await client.query(`DROP ROLE ${role}`);
    });
  });

  describe.each(PARSERS)('values %s', (_, types) => {
    it.each(styles)(
      'of a role with DateStyle %s: as in a session of the role with the pinned settings',
      async (_, settings) => {
        const connection = withTypes(await roleWith(settings), types);
        await compareAll({ writerUrl: db.url, connection, prepareReader: PINNED });
      },
      PROPERTY_TIMEOUT_MS,
    );

    it.each(styles.flatMap((style) => VALUE_FORMATS.map((format) => [style[0], style[1], format] as const)))(
      'of a database with DateStyle %s: as in a session of it with the pinned settings (%#)',
      async (_, { client_encoding: _notOfDatabases, ...settings }, format) => {
        const own = await createDatabase();
        const tables = format === 'text' ? all : binary(types);
        try {
          await own.query(NAMED_THINGS + tables.map(createTable).join('\n'));
          for (const [name, value] of Object.entries(settings)) {
            await own.query(`ALTER DATABASE ${own.name} SET ${name} = ${value}`);
          }
          const connection = withTypes(own.url, types);
          await compareAll({ writerUrl: own.url, connection, prepareReader: PINNED, format }, tables);
          expect(await stream!.format()).toBe(format);
        } finally {
          await closeStream();
          await own.drop();
        }
      },
      PROPERTY_TIMEOUT_MS,
    );

    it.each([
      '-c DateStyle=German -c IntervalStyle=iso_8601 -c TimeZone=America/St_Johns -c bytea_output=escape',
      '-c DateStyle=SQL,DMY -c IntervalStyle=sql_standard -c TimeZone=Asia/Kolkata -c extra_float_digits=-15',
      '-c DateStyle=Postgres -c IntervalStyle=postgres_verbose -c extra_float_digits=3',
    ])(
      'of a connection that asks for them (%s): as in a session of that connection',
      async (options) => {
        await compareAll({ writerUrl: db.url, connection: { ...withTypes(db.url, types), options } });
      },
      PROPERTY_TIMEOUT_MS,
    );
  });

  it('asked for by PGOPTIONS are what the connection asked for', async () => {
    const before = process.env['PGOPTIONS'];
    process.env['PGOPTIONS'] = '-c DateStyle=German';
    try {
      await compareAll({ writerUrl: db.url, connection: withTypes(db.url, AS_TEXT) });
    } finally {
      if (before === undefined) delete process.env['PGOPTIONS'];
      else process.env['PGOPTIONS'] = before;
    }
  });

  it('name a zone in letters that are not ASCII', async () => {
    const connection = withTypes(await roleWith({ TimeZone: `'<Zöné>-3'` }), AS_TEXT);
    stream = await ValueStream.open({ writerUrl: db.url, connection: { ...connection, options: '-c DateStyle=SQL' } });
    const table = all.find(({ columns }) => columns.some(({ name }) => name === 'timestamptz'))!;
    const row = table.columns.map(({ name }) => (name === 'timestamptz' ? '2026-02-03 12:00:00+00' : null));
    await stream.insert(table, [row]);
    const [{ record }] = (await stream.take(1)) as [InsertChange];
    expect(record['timestamptz']).toMatch(/^02\/03\/2026 15:00:00 Z.N.$/i);
    expect(record['timestamptz']).toBe((await stream.select(table)).get('1')!['timestamptz']);
    await db.query(`DELETE FROM ${table.name}`);
  });
});

describe('the encoding of the database', () => {
  /** What LATIN1 can hold. */
  const latin1 = (text: string): string => text.replace(/[\u0100-\u{10ffff}]/gu, '¿').replace(/\\u[0-9a-f]{4}/gi, 'u');

  it(
    'LATIN1 makes no difference',
    async () => {
      const db = await createDatabase(SERVER, `ENCODING LATIN1 TEMPLATE template0 LOCALE 'C'`);
      try {
        await db.query(createAll);
        await compareAll(
          { writerUrl: db.url, connection: withTypes(db.url, undefined) },
          wideTables(catalogue.columns, 'wide_', latin1),
        );
      } finally {
        await closeStream();
        await db.drop();
      }
    },
    PROPERTY_TIMEOUT_MS,
  );

  it('SQL_ASCII makes none, and bytes that are no UTF-8 halt the stream as they fail a query', async () => {
    const db = await createDatabase(SERVER, `ENCODING SQL_ASCII TEMPLATE template0 LOCALE 'C'`);
    try {
      const table = { name: 'texts', columns: [{ name: 'a', type: 'text' }] };
      await db.query(createTable(table));
      stream = await ValueStream.open({ writerUrl: db.url, connection: withTypes(db.url, undefined) });
      await stream.roundTrip(table, [['ü🐘'], ['\u0001 é']]);
      await stream.execute(String.raw`INSERT INTO texts VALUES (1, E'a\xff')`);
      await expect(stream.select(table)).rejects.toMatchObject({ code: '22021' });
      const { listener } = stream.application;
      const { error } = await waitFor(() => (listener.status.state === 'halted' ? listener.status : null), 'the halt');
      expect(error).toBeInstanceOf(ServerSetupError);
      expect(error!.message).toMatch(/cannot write a value as UTF-8 \(22021\)/);
      expect(error!.message).not.toContain('0xff');
    } finally {
      await closeStream();
      await db.drop();
    }
  });
});

describe('a reload of the configuration', () => {
  it('does not reach what is pinned', async () => {
    const server = await startPostgres({ nativeDirectory: process.env['PG_LISTENER_TEST_NATIVE'] });
    try {
      await withClient(server.url, (client) => client.query(createAll));
      const connection = withTypes(server.url, undefined);
      stream = await ValueStream.open({ writerUrl: server.url, connection, prepareReader: PINNED });
      for (const name of ['DateStyle', 'IntervalStyle', 'extra_float_digits', 'bytea_output']) {
        await stream.execute(`ALTER SYSTEM SET ${name} = ${HOSTILE[1]![name]!}`);
      }
      await stream.execute('SELECT pg_reload_conf()');
      const style = (client: pg.Client): Promise<pg.QueryResult> => client.query('SHOW DateStyle');
      await waitFor(async () => /German/.test((await withClient(server.url, style)).rows[0].DateStyle), 'the reload');
      for (const table of all) await stream.roundTrip(table, table.exampleRows());
    } finally {
      await closeStream();
      await server.stop('immediate');
    }
  });
});
