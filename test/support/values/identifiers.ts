import fc from 'fast-check';
import { values, type Values } from './values.js';

/** Schema and table that names of things in the system can point at. */
export const NAMED_THINGS = `
  CREATE SCHEMA "Großes Schema";
  CREATE TABLE "Großes Schema"."Ta.bel""le" ("Spalte" int);
  CREATE TABLE plain_name ();
  CREATE TYPE "Großes Schema"."T y p" AS ENUM ('a');
  CREATE FUNCTION "Großes Schema"."f n"(int, text) RETURNS int LANGUAGE sql AS 'SELECT 1';
`;

const anyOid = fc.oneof(fc.nat(20_000), fc.integer({ min: 0, max: 0xffff_ffff })).map(String);
/** Names of one kind; numbers that name nothing stay numbers. */
const names = (...examples: string[]): Values => values(['0', '4294967295', ...examples], anyOid);

const numbers = (min: number, max: number): fc.Arbitrary<string> =>
  fc.array(fc.integer({ min, max }), { maxLength: 6 }).map((each) => each.join(' '));

const snapshot = fc.uniqueArray(fc.integer({ min: 10, max: 1_000_000 }), { minLength: 2, maxLength: 6 }).map((ids) => {
  const sorted = ids.sort((a, b) => a - b);
  return `${sorted[0]}:${sorted.at(-1)! + 1}:${sorted.join(',')}`;
});
const snapshots = values(['1:1:', '10:20:', '10:20:10,14,15', '9223372036854775806:9223372036854775807:'], snapshot);

const privileges = fc
  .subarray(['a', 'r', 'w', 'd', 'D', 'x', 't'], { minLength: 1 })
  .chain((each) => fc.constantFrom('', '*').map((grant) => each.map((right) => right + grant).join('')));

export const IDENTIFIERS: Readonly<Record<string, Values>> = {
  tid: values(
    ['(0,0)', '(0,1)', '(4294967295,65535)'],
    fc.tuple(fc.integer({ min: 0, max: 0xffff_ffff }), fc.nat(65_535)).map((each) => `(${each.join(',')})`),
  ),
  int2vector: values(['', '1', '-32768 0 32767'], numbers(-32_768, 32_767)),
  oidvector: values(['', '26', '0 4294967295'], numbers(0, 0xffff_ffff)),
  pg_snapshot: snapshots,
  txid_snapshot: snapshots,
  aclitem: values(
    ['=r/postgres', 'postgres=arwdDxt/postgres', 'postgres=r*w/postgres', 'pg_monitor=U/postgres'],
    fc
      .tuple(fc.constantFrom('', 'postgres'), privileges)
      .map(([who, what]) => `${who === '' || what.includes('*') ? 'postgres' : who}=${what}/postgres`),
  ),
  regclass: names('-', 'pg_class', 'plain_name', '"Großes Schema"."Ta.bel""le"', 'information_schema.tables'),
  regtype: names('integer', 'pg_catalog."char"', 'timestamp with time zone', 'text[]', '"Großes Schema"."T y p"[]'),
  regproc: names('pg_sleep', '"Großes Schema"."f n"'),
  regprocedure: names('sum(integer)', 'abs(numeric)', '"Großes Schema"."f n"(integer,text)'),
  regoper: names('||/', '|/'),
  regoperator: names('*(integer,integer)', '-(NONE,integer)'),
  regrole: names('postgres', 'pg_monitor'),
  regnamespace: names('pg_catalog', 'public', '"Großes Schema"'),
  regconfig: names('simple', 'english'),
  regdictionary: names('simple', 'english_stem'),
  regcollation: names('"C"', 'pg_catalog."default"', '"POSIX"'),
};
