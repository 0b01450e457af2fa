import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readPrimaryKeys, type PrimaryKeys } from '#lib/connection/primary-keys.js';
import { createDatabase, type TestDatabase } from '../support/database.js';

/** The type of a primary key, and whether rows are told apart by its text. */
const TYPES: readonly (readonly [type: string, isExact: boolean])[] = [
  ['int', true],
  ['bigint', true],
  ['smallint', true],
  ['uuid', true],
  ['text', true],
  ['varchar(20)', true],
  ['char(5)', true],
  ['date', true],
  ['timestamp', true],
  ['timestamptz', true],
  ['bytea', true],
  ['boolean', true],
  ['inet', true],
  ['numeric(10, 2)', true],
  ['mood', true],
  ['positive', true],
  // 1.0 and 1.00, 24 hours and a day, 0 and -0, two spellings of one word, two orders of one object.
  ['numeric', false],
  ['interval', false],
  ['float8', false],
  ['text COLLATE anycase', false],
  ['shout', false],
  ['jsonb', false],
  ['timetz', false],
];

describe('primary keys as the catalogue has them', () => {
  let db: TestDatabase;
  let keys: PrimaryKeys;
  beforeAll(async () => {
    db = await createDatabase();
    await db.query(`
      CREATE COLLATION anycase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
      CREATE TYPE mood AS ENUM ('sad', 'happy');
      CREATE DOMAIN positive AS int CHECK (value > 0);
      CREATE DOMAIN shout AS text COLLATE anycase;
      CREATE SCHEMA billing;
      CREATE TABLE billing.lines (total int, line int, "Invoice No" int, PRIMARY KEY ("Invoice No", line));
      CREATE TABLE half (id int, amount numeric, PRIMARY KEY (id, amount));
      CREATE TABLE covering (id int, note float8, PRIMARY KEY (id) INCLUDE (note));
      CREATE TABLE keyless (id int UNIQUE NOT NULL);
      CREATE TABLE parted (id int, at date, PRIMARY KEY (at, id)) PARTITION BY RANGE (at);
      CREATE TABLE part PARTITION OF parted FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
    `);
    for (const [index, [type]] of TYPES.entries()) await db.query(`CREATE TABLE t${index} (id ${type} PRIMARY KEY)`);
    keys = await readPrimaryKeys(db.client);
  });
  afterAll(() => db?.drop());

  it('have no columns that their index only includes', () => {
    expect(keys.get('public\0covering')).toEqual({ columns: ['id'], isExact: true });
  });

  it.each(TYPES.map(([type, isExact], index) => ({ type, isExact, index })))(
    'of $type are told apart by their texts: $isExact',
    ({ isExact, index }) => {
      expect(keys.get(`public\0t${index}`)).toEqual({ columns: ['id'], isExact });
    },
  );

  it('have their columns in the order of the key', () => {
    expect(keys.get('billing\0lines')).toEqual({ columns: ['Invoice No', 'line'], isExact: true });
  });

  it('are as exact as the least exact of their columns', () => {
    expect(keys.get('public\0half')).toEqual({ columns: ['id', 'amount'], isExact: false });
  });

  it('are there for partitioned tables and their partitions, and not where there is only a unique column', () => {
    const key = { columns: ['at', 'id'], isExact: true };
    expect([keys.get('public\0parted'), keys.get('public\0part')]).toEqual([key, key]);
    expect(keys.has('public\0keyless')).toBe(false);
  });
});
