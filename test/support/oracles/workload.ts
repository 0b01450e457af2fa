import type pg from 'pg';
import { Random } from '../../faults/random.js';

/** What a random workload may do. */
export interface WorkloadOptions {
  readonly seed: number;
  readonly transactions: number;
  /** Logical messages. @default true */
  readonly messages?: boolean;
  /** ALTER TABLE. @default true */
  readonly ddl?: boolean;
  /** PREPARE TRANSACTION; names begin with this. @default none */
  readonly gid?: string;
  /** Whether some of what is prepared is rolled back. @default true */
  readonly rollsBack?: boolean;
}

export const WORKLOAD_TABLES = ['plain', 'whole', 'keyed', 'toasted', 'leaf', 'Odd Name'] as const;

export const WORKLOAD_DDL = `
  CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
  CREATE DOMAIN positive AS int CHECK (value > 0);
  CREATE TABLE plain (id int PRIMARY KEY, n numeric, note text, at timestamptz, tags text[], size positive, feeling mood);
  CREATE TABLE whole (id int, big text, flag bool, f float8); ALTER TABLE whole REPLICA IDENTITY FULL;
  CREATE TABLE keyed (id int, code text NOT NULL, data jsonb); CREATE UNIQUE INDEX by_code ON keyed (code);
  ALTER TABLE keyed REPLICA IDENTITY USING INDEX by_code;
  CREATE TABLE toasted (id int PRIMARY KEY, big text, bytes bytea, n int);
  CREATE TABLE parted (id int PRIMARY KEY, note text) PARTITION BY HASH (id);
  CREATE TABLE leaf PARTITION OF parted FOR VALUES WITH (MODULUS 1, REMAINDER 0);
  CREATE TABLE "Odd Name" (id int PRIMARY KEY, "Ä b" text, "__proto__" int);
  ALTER TABLE whole ALTER COLUMN big SET STORAGE EXTERNAL; ALTER TABLE toasted ALTER COLUMN big SET STORAGE EXTERNAL`;

/** Statements that a seed determines: transactions small and large, with savepoints, rollbacks, and changes of the schema. */
export class Workload {
  private readonly random: Random;
  private next = 1;
  private columns = 0;

  constructor(
    private readonly client: pg.Client,
    private readonly options: WorkloadOptions,
  ) {
    this.random = new Random(options.seed);
  }

  async run(): Promise<void> {
    for (let left = this.options.transactions; left > 0; left--) await this.transaction();
  }

  private async transaction(): Promise<void> {
    const { random } = this;
    if (random.chance(0.2)) return void (await this.client.query(this.statement(3)));
    const isLarge = random.chance(0.15);
    // Of a savepoint that was rolled back, the server does not tell which messages went with it, in parts.
    const mayRollBack = random.chance(0.5);
    const list: string[] = ['BEGIN'];
    let depth = 0;
    for (let left = random.between(1, isLarge ? 6 : 12); left > 0; left--) {
      list.push(this.statement(isLarge ? 300 : 3));
      if (!mayRollBack && this.options.messages !== false && random.chance(0.1))
        list.push(`SELECT pg_logical_emit_message(true, 'outbox', 'within ${this.next}')`);
      if (mayRollBack && random.chance(0.3)) list.push(`SAVEPOINT s${++depth}`);
      if (mayRollBack && depth > 0 && random.chance(0.3))
        list.push(`ROLLBACK TO s${(depth = random.between(1, depth))}`);
      else if (depth > 0 && random.chance(0.2)) list.push(`RELEASE s${depth--}`);
    }
    if (this.options.messages !== false && random.chance(0.1))
      list.push(`SELECT pg_logical_emit_message(false, 'outbox', 'alone ${this.next}')`);
    await this.finish(list);
  }

  private async finish(list: string[]): Promise<void> {
    const { random, client } = this;
    const { gid } = this.options;
    if (gid !== undefined && random.chance(0.4)) {
      const name = `${gid} ${this.next++}`;
      // A changed table must not be locked when others are waited for.
      await client.query([...list, `PREPARE TRANSACTION '${name}'`].join(';'));
      await client.query(
        `${random.chance(0.7) || this.options.rollsBack === false ? 'COMMIT' : 'ROLLBACK'} PREPARED '${name}'`,
      );
      return;
    }
    if (this.options.ddl !== false && random.chance(0.15)) list.push(this.schemaChange(), this.statement(2));
    await client.query([...list, random.chance(0.85) ? 'COMMIT' : 'ROLLBACK'].join(';'));
  }

  /** One statement, of so many rows at most. */
  private statement(rows: number): string {
    const { random } = this;
    const many = random.between(1, rows);
    const from = this.next;
    const to = (this.next += many) - 1;
    const series = `generate_series(${from}, ${to}) AS i`;
    const some = `id % ${random.between(2, 9)} = ${random.below(2)}`;
    const one = (table: string): string => `id = (SELECT min(id) FROM ${table} WHERE id > ${random.below(this.next)})`;
    const long = `repeat(md5(i::text), ${random.between(20, 90)})`;
    return random.pick([
      () => `INSERT INTO plain (id, n, note, at, tags, size, feeling) SELECT i, i / 7.0, CASE WHEN i % 5 > 0 THEN 'Ä"' || i END,
        '2026-01-01'::timestamptz + i * interval '1.000001 s', ARRAY['a', NULL, i::text], i, (enum_range(NULL::mood))[1 + i % 3] FROM ${series}`,
      () => `INSERT INTO whole (id, big, flag, f) SELECT i, ${long}, i % 2 = 0, i / 3.0::float8 FROM ${series}`,
      () =>
        `INSERT INTO keyed (id, code, data) SELECT i, 'c' || i, jsonb_build_object('i', i, 'x', ARRAY[i, NULL]) FROM ${series}`,
      () => `INSERT INTO toasted (id, big, bytes, n) SELECT i, ${long}, decode(md5(i::text), 'hex'), i FROM ${series}`,
      () => `INSERT INTO parted SELECT i, 'p' FROM ${series}`,
      () => `INSERT INTO "Odd Name" SELECT i, 'ß', -i FROM ${series}`,
      () => `UPDATE plain SET note = note || 'x', n = -n WHERE ${some}`,
      () => `UPDATE plain SET id = ${this.next++} + 10000000 WHERE ${one('plain')}`,
      () => `UPDATE whole SET flag = NOT flag WHERE ${some}`,
      () => `UPDATE whole SET big = 'short' WHERE ${one('whole')}`,
      () => `UPDATE keyed SET data = NULL WHERE ${some}`,
      () => `UPDATE keyed SET code = 'moved ${this.next++}' WHERE ${one('keyed')} AND code LIKE 'c%'`,
      () => `UPDATE toasted SET n = n + 1 WHERE ${some}`,
      () => `UPDATE "Odd Name" SET "Ä b" = NULL WHERE ${one('"Odd Name"')}`,
      () => `DELETE FROM plain WHERE ${one('plain')}`,
      () => `DELETE FROM whole WHERE id % 7 = ${random.below(7)}`,
      () => `DELETE FROM keyed WHERE ${one('keyed')}`,
      () => `DELETE FROM toasted WHERE id % 11 = ${random.below(11)}`,
      () => (random.chance(0.3) ? `TRUNCATE plain, "Odd Name" RESTART IDENTITY` : `TRUNCATE whole CASCADE`),
    ])();
  }

  private schemaChange(): string {
    const name = `more_${++this.columns}`;
    const table = this.random.pick(['plain', 'whole', 'keyed', 'toasted']);
    return this.random.pick([
      `ALTER TABLE ${table} ADD COLUMN ${name} int DEFAULT ${this.columns}`,
      `ALTER TABLE ${table} ADD COLUMN ${name} text; ALTER TABLE ${table} DROP COLUMN ${name}`,
      `ALTER TABLE ${table} ADD COLUMN ${name} int DEFAULT 1; ALTER TABLE ${table} ALTER COLUMN ${name} TYPE text`,
      `ALTER TABLE ${table} ADD COLUMN ${name} int; ALTER TABLE ${table} RENAME COLUMN ${name} TO r_${name}`,
    ]);
  }
}
