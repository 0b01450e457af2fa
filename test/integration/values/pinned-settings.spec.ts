import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { pinSessionSettings } from '#lib/connection/session-settings.js';
import { createDatabase, type TestDatabase } from '../../support/database.js';

const NAMES = ['DateStyle', 'IntervalStyle', 'bytea_output', 'extra_float_digits', 'TimeZone'] as const;

describe('pinSessionSettings, on a replication connection', () => {
  let db: TestDatabase;
  /** What `pinned` was told of the connection. */
  let asked: string | undefined;

  beforeAll(async () => {
    db = await createDatabase();
    // An operator that a role's search_path puts before the server's own.
    await db.query(`
      CREATE SCHEMA trap;
      CREATE FUNCTION trap.same(text, text) RETURNS bool LANGUAGE plpgsql AS 'BEGIN RAISE ''trapped''; END';
      CREATE OPERATOR trap.= (LEFTARG = text, RIGHTARG = text, FUNCTION = trap.same);
    `);
  });

  afterAll(() => db?.drop());

  /** The settings in force once pinned, of a session that began with these SETs of the database and these options. */
  async function pinned(database: Readonly<Record<string, string>>, options?: string): Promise<string[]> {
    await db.query(`ALTER DATABASE ${db.name} RESET ALL`);
    for (const [name, value] of Object.entries(database)) {
      await db.query(`ALTER DATABASE ${db.name} SET ${name} = ${value}`);
    }
    const client = new pg.Client({
      connectionString: db.url,
      replication: 'database',
      ...(options === undefined ? {} : { options }),
    } as pg.ClientConfig);
    await client.connect();
    try {
      asked = await pinSessionSettings(client);
      const found: string[] = [];
      for (const name of NAMES)
        found.push((await client.query<Record<string, string>>(`SHOW ${name}`)).rows[0]![name]!);
      return found;
    } finally {
      await client.end();
    }
  }

  it('sets what a database has set otherwise, and leaves the time zone', async () => {
    const settings = {
      DateStyle: 'German',
      IntervalStyle: 'iso_8601',
      bytea_output: 'escape',
      TimeZone: "'Asia/Tokyo'",
    };
    expect(await pinned({ ...settings, extra_float_digits: '-15' })).toEqual([
      'ISO, DMY',
      'postgres',
      'hex',
      '1',
      'Asia/Tokyo',
    ]);
  });

  it.each([
    ['0', '1'],
    ['1', '1'],
    ['3', '3'],
  ])('makes extra_float_digits %s to %s', async (before, after) => {
    expect((await pinned({ extra_float_digits: before }))[3]).toBe(after);
  });

  it('leaves what the connection asks for, and pins the rest', async () => {
    const found = await pinned(
      { IntervalStyle: 'iso_8601', DateStyle: 'ISO' },
      '-c DateStyle=SQL,DMY -c extra_float_digits=-3 -c TimeZone=UTC',
    );
    expect(found).toEqual(['SQL, DMY', 'postgres', 'hex', '-3', 'UTC']);
  });

  it.each([
    ['-c DateStyle=SQL,DMY', 'DateStyle = SQL, DMY'],
    ['-c IntervalStyle=iso_8601', 'IntervalStyle = iso_8601'],
    ['-c extra_float_digits=0', 'extra_float_digits = 0'],
    ['-c bytea_output=escape', 'bytea_output = escape'],
    ['-c DateStyle=ISO,DMY -c extra_float_digits=3 -c bytea_output=hex -c TimeZone=Asia/Tokyo', undefined],
    [undefined, undefined],
  ])('tells what the connection asks for and another form would have: %s', async (options, expected) => {
    await pinned({ DateStyle: 'German', extra_float_digits: '-15' }, options);
    expect(asked).toBe(expected);
  });

  it("uses the server's own operators, whatever the search_path", async () => {
    expect((await pinned({ search_path: 'trap, pg_catalog', bytea_output: 'escape' }))[2]).toBe('hex');
  });
});
