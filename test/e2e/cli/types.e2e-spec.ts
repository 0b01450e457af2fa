import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import { OnTableChange, type InsertChange } from 'nestjs-pg-listener';
import { TestApplications } from '../../support/application.js';
import { runCommand } from '../../support/command-line.js';
import { createDatabase, type TestDatabase } from '../../support/database.js';
import { waitFor } from '../../support/wait.js';
import { packageRoot } from '../../unit/package-root.js';

/** A value as TypeScript, written so that its type is that of the value and no other. */
function expressionOf(value: unknown): string {
  if (value === null || typeof value === 'boolean' || typeof value === 'number') return String(value);
  if (typeof value === 'string') return JSON.stringify(value);
  if (value instanceof Date) return `new Date(${value.getTime()})`;
  if (Buffer.isBuffer(value)) return `Buffer.from('${value.toString('hex')}', 'hex')`;
  if (Array.isArray(value)) return `[${value.map(expressionOf).join(', ')}]`;
  const entries = Object.entries(value as object).map(
    ([key, inner]) => `${JSON.stringify(key)}: ${expressionOf(inner)}`,
  );
  const isInterval = typeof (value as { toPostgres?: unknown }).toPostgres === 'function';
  const methods = isInterval ? [`toPostgres: () => ''`, `toISO: () => ''`, `toISOString: () => ''`] : [];
  return `{ ${[...entries, ...methods].join(', ')} }`;
}

/** Every type that node-postgres parses, and some that it does not, with a value of each. */
const COLUMNS: readonly (readonly [type: string, value: string])[] = [
  ['bool', 'true'],
  ['bytea', `'\\x00ff'`],
  ['int8', '9007199254740993'],
  ['int2', '1'],
  ['int4', '2'],
  ['oid', '3'],
  ['json', `'[1]'`],
  ['jsonb', `'{"a": null}'`],
  ['point', `'(1,2)'`],
  ['float4', '1.5'],
  ['float8', `'NaN'`],
  ['circle', `'<(1,2),3>'`],
  ['date', `'2026-01-02'`],
  ['timestamp', `'2026-01-02 03:04:05'`],
  ['timestamptz', `'2026-01-02 03:04:05Z'`],
  ['interval', `'1 day 2 hours'`],
  ['numeric', '1.50'],
  ['text', `'x'`],
  ['varchar(5)', `'x'`],
  ['char(3)', `'x'`],
  ['"char"', `'x'`],
  ['name', `'x'`],
  ['uuid', `'6f9619ff-8b86-d011-b42d-00c04fc964ff'`],
  ['inet', `'10.0.0.1'`],
  ['time', `'03:04:05'`],
  ['int4range', `'[1,2)'`],
  ['xml', `'<a/>'`],
  ['bool[]', `'{t,NULL}'`],
  ['bytea[]', `ARRAY['\\x00'::bytea, NULL]`],
  ['int8[]', `'{1,NULL}'`],
  ['int2[]', `'{1,NULL}'`],
  ['int4[]', `'{1,NULL}'`],
  ['oid[]', `'{1,NULL}'`],
  ['json[]', `ARRAY['[1]'::json, NULL]`],
  ['jsonb[]', `ARRAY['{"a":1}'::jsonb, NULL]`],
  ['point[]', `ARRAY['(1,2)'::point, NULL]`],
  ['float4[]', `'{1.5,NULL}'`],
  ['float8[]', `'{1.5,NULL}'`],
  ['numeric[]', `'{1.5,NULL}'`],
  ['text[]', `'{x,NULL}'`],
  ['varchar[]', `'{x,NULL}'`],
  ['uuid[]', `ARRAY['6f9619ff-8b86-d011-b42d-00c04fc964ff'::uuid, NULL]`],
  ['inet[]', `'{10.0.0.1,NULL}'`],
  ['cidr[]', `'{10.0.0.0/8,NULL}'`],
  ['macaddr[]', `'{08:00:2b:01:02:03,NULL}'`],
  ['date[]', `'{2026-01-02,NULL}'`],
  ['timestamp[]', `'{2026-01-02,NULL}'`],
  ['timestamptz[]', `'{2026-01-02,NULL}'`],
  ['interval[]', `'{1 day,NULL}'`],
  ['time[]', `'{03:04,NULL}'`],
  ['timetz[]', `'{03:04Z,NULL}'`],
  ['money[]', `'{1,NULL}'`],
  ['numrange[]', `ARRAY['[1,2)'::numrange, NULL]`],
  ['bit(3)[]', `'{101,NULL}'`],
  ['mood', `'it''s ok'`],
  ['mood[]', `'{sad,NULL}'`],
  ['cents', '100'],
  ['cents[]', `'{100,NULL}'`],
  ['feeling', `'sad'`],
  ['numbers', `'{1,NULL}'`],
  ['pair', `'(1,x)'`],
];

describe('types', () => {
  let db: TestDatabase;
  let folder: string;
  const apps = new TestApplications();

  beforeAll(() => {
    mkdirSync(join(packageRoot(), 'build'), { recursive: true });
    folder = mkdtempSync(join(packageRoot(), 'build/types-'));
  });
  beforeEach(async () => {
    db = await createDatabase();
  });
  afterEach(async () => {
    await apps.close();
    await db.drop();
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const compile = (files: Readonly<Record<string, string>>): string[] => {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
    const options = {
      strict: true,
      noEmit: true,
      module: 'nodenext',
      target: 'es2023',
      types: ['node'],
      skipLibCheck: true,
    };
    const decorators = { experimentalDecorators: true, noUnusedLocals: false };
    writeFileSync(
      join(folder, 'tsconfig.json'),
      JSON.stringify({ compilerOptions: { ...options, ...decorators }, files: ['tables.ts', ...Object.keys(files)] }),
    );
    const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin/tsc');
    const { stdout } = spawnSync(process.execPath, [tsc, '-p', folder], { encoding: 'utf8' });
    return stdout
      .trim()
      .split('\n')
      .filter((line) => line !== '');
  };
  const write = async (...words: string[]): Promise<string> => {
    const file = join(folder, 'tables.ts');
    const { code, stdout, stderr } = await runCommand(['types', db.url, '--out', file, ...words]);
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: '', stderr: expect.stringContaining('Wrote ') });
    return readFileSync(file, 'utf8');
  };

  it('writes what SELECT really returns for every type, null or not, and nothing else', async () => {
    await db.query(`CREATE TYPE mood AS ENUM ('sad', 'it''s ok'); CREATE DOMAIN cents AS int8; CREATE DOMAIN feeling AS mood;
      CREATE DOMAIN numbers AS int4[]; CREATE TYPE pair AS (a int, b text)`);
    const list = COLUMNS.map(([type], index) => `c${index} ${type} NOT NULL, n${index} ${type}`).join(', ');
    await db.query(`CREATE TABLE every_type (${list})`);
    const values = COLUMNS.map(([type, value]) => `${value}::${type}, NULL`).join(', ');
    await db.query(`INSERT INTO every_type VALUES (${values})`);
    const text = await write();
    const [row] = await db.query('SELECT * FROM every_type');
    const full = { ...row };
    COLUMNS.forEach((_, index) => (full[`n${index}`] = row[`c${index}`]));
    // A type that takes more than it should takes a value of another kind, too: each column is given one.
    const isOpen = (type: string): boolean => type.startsWith('json');
    const wrong = COLUMNS.flatMap(([type], index) => {
      if (isOpen(type)) return [];
      const nothing = `{ const wrong: Row['c${index}'] = null; void wrong; } // @ts-expect-error`;
      return [nothing, `{ const wrong: Row['n${index}'] = Symbol(); void wrong; } // @ts-expect-error`];
    });
    const use = [
      `import type { PgListenerTables } from 'nestjs-pg-listener';`,
      `type Row = PgListenerTables['every_type'];`,
      `const nulls: Row = ${expressionOf(row)};`,
      `const full: Row = ${expressionOf(full)};`,
      ...wrong.map((line) => line.replace(/^(.*) \/\/ (@ts-expect-error)$/, '// $2\n$1')),
      'void [nulls, full];',
    ].join('\n');
    expect(compile({ 'use.ts': use })).toEqual([]);
    expect(text).toContain(`: 'sad' | 'it\\'s ok';`);
  }, 60_000);

  it('gives handlers the rows of their tables, and refuses a name that is none', async () => {
    await db.query(`CREATE TABLE orders (id int PRIMARY KEY, "Total Amount" numeric, doubled int GENERATED ALWAYS AS (id * 2) STORED);
      CREATE SCHEMA billing; CREATE TABLE billing.invoices (id uuid PRIMARY KEY); CREATE TABLE "odd.name" (id int);
      CREATE TABLE parts (id int) PARTITION BY LIST (id); CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1);
      CREATE VIEW looked AS SELECT 1 AS one; CREATE TABLE bare ()`);
    const text = await write();
    expect(text).toContain('doubled?: number | null;');
    expect(text).toMatch(/^ {4}bare: {};$/m);
    expect(text).not.toMatch(/parts_1|looked/);
    const handler = (table: string, type: string, use: string): string =>
      `export class H { @OnTableChange(${table}, 'insert') on(change: InsertChange<${type}>) { ${use} } }`;
    const head = `import { OnTableChange, type InsertChange, type PgListenerTables } from 'nestjs-pg-listener';\n`;
    const good = [
      handler(
        `'orders'`,
        `PgListenerTables['orders']`,
        `const a: string | null = change.record['Total Amount']; void a;`,
      ),
      handler(`'public.orders'`, `PgListenerTables['orders']`, 'const a: number = change.record.id; void a;').replace(
        'H',
        'I',
      ),
      handler(`'billing.invoices'`, `{ id: string }`, 'change.record.id.length;').replace('H', 'J'),
      handler(`'"odd.name"'`, `{ id: number | null }`, '').replace('H', 'K'),
    ];
    expect(compile({ 'use.ts': head + good.join('\n') })).toEqual([]);
    expect(compile({ 'use.ts': head + handler(`'ordres'`, `PgListenerTables['orders']`, '') })[0]).toContain('TS1241');
    expect(compile({ 'use.ts': head + handler(`'orders'`, `{ id: string }`, '') })[0]).toContain('TS1241');

    expect(await write('--schema', 'billing')).toMatch(
      /PgListenerTables \{\n {4}'billing\.invoices': \{\n {6}id: string;\n {4}\};\n {2}\}/,
    );
    expect(await write('--schema', 'billing', '--app', 'ledger')).toContain(
      'interface PgListenerApps {\n    ledger: {',
    );
    const unknown = await runCommand(['types', db.url, '--schema', 'biling']);
    expect(unknown).toMatchObject({
      code: 2,
      stdout: '',
      stderr: expect.stringContaining('no table in the schema "biling"'),
    });
    const unwritten = await runCommand(['types', db.url, '--out', '/no/such/folder/tables.ts']);
    expect(unwritten).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('ENOENT') });
  }, 60_000);

  it("with --type, writes what parsers of an app's own give", async () => {
    await db.query(`CREATE DOMAIN cents AS int8; CREATE DOMAIN tips AS cents; CREATE TYPE pair AS (one int8, two cents);
      CREATE TABLE sums (id int8 PRIMARY KEY, price cents NOT NULL, tip tips, many int8[] NOT NULL, pairs pair, small int4, smalls int4[] NOT NULL, span int4range)`);
    const seen: Record<string, unknown>[] = [];
    @Injectable()
    class Sums {
      @OnTableChange('sums', 'insert')
      onInsert({ record }: InsertChange): void {
        seen.push(record);
      }
    }
    const parsers = { int8: BigInt, int4: (text: string) => `#${text}`, cents: (text: string) => [text] };
    await apps.start({ connection: db.url, slot: 'temporary', types: { rich: true, parsers } }, [Sums]);
    await db.query(`INSERT INTO sums VALUES (1, 2, 3, '{4}', ROW(5, 6), 7, '{8}', '[1,9)')`);
    await waitFor(() => seen.length === 1, 'the row');
    // What has come: a bigint, what a domain's own parser gives, the same for a domain over it, and within others.
    expect(seen[0]).toMatchObject({
      id: 1n,
      price: ['2'],
      tip: ['3'],
      many: [4n],
      pairs: { one: 5n, two: ['6'] },
      small: '#7',
      smalls: ['#8'],
      span: { lower: '#1', upper: '#9' },
    });
    const given = ['--type', 'int8=bigint', '--type', 'cents=[string]', '--type', 'int4=`#${string}`'];
    const { code, stdout } = await runCommand(['types', db.url, '--rich', ...given]);
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: expect.stringContaining(
        '    sums: {\n      id: bigint;\n      price: [string];\n      tip: [string] | null;\n      many: (bigint | null)[];\n' +
          '      pairs: { one: bigint | null; two: [string] | null } | null;\n      small: `#${string}` | null;\n' +
          '      smalls: (`#${string}` | null)[];\n      span: PgRange<`#${string}`> | null;\n    };',
      ),
    });
    for (const [words, text] of [
      [['--type', 'int88=bigint'], 'There is no type int88 in'],
      [['--type', 'int8'], 'NAME=TYPE is wanted'],
      [['--type', 'int8= '], 'NAME=TYPE is wanted'],
    ] as const) {
      const wrong = await runCommand(['types', db.url, ...words]);
      expect(wrong).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining(text) });
    }
  });

  it("with --rich, writes what a listener with `types: 'rich'` gives; with --toastable, what may be absent", async () => {
    await db.query(`CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE DOMAIN cents AS int8;
      CREATE TYPE guest AS (name text, moods mood[], "paid at" timestamptz, price cents);
      CREATE TABLE shapes (id int); CREATE TABLE bookings (id text PRIMARY KEY, guests guest[] NOT NULL, host guest, nights daterange NOT NULL,
        prices numrange[], moods mood[] NOT NULL, shape shapes, took interval[], many int4[], doc jsonb, note text NOT NULL, amount numeric);
      CREATE TABLE whole (id int PRIMARY KEY, note text); ALTER TABLE whole REPLICA IDENTITY FULL`);
    const seen: Record<string, unknown>[] = [];
    @Injectable()
    class Bookings {
      @OnTableChange('bookings', 'insert')
      onInsert({ record }: InsertChange): void {
        seen.push(record);
      }
    }
    await apps.start({ connection: db.url, slot: 'temporary', types: 'rich' }, [Bookings]);
    await db.query(`INSERT INTO bookings VALUES ('a', '{"(Ann,\\"{sad,ok}\\",2026-01-02,120)",NULL}', ROW('x', NULL, NULL, NULL),
      '[2026-01-02,2026-01-04)', '{"[1,2)"}', '{ok,NULL}', ROW(1), '{1 day}', '{1,NULL}', '[1]', 'note', 1)`);
    await waitFor(() => seen.length === 1);
    const text = await write('--rich', '--toastable');
    const use = [
      `import type { PgListenerTables, UpdatedRecord } from 'nestjs-pg-listener';`,
      `type Row = PgListenerTables['bookings'];`,
      `export const row: Row = ${expressionOf(seen[0])};`,
      `export const bound: Date | null = row.nights.lower;`,
      `export const first: string | null | undefined = row.guests[0]?.name;`,
      `export const moods: ('sad' | 'ok' | null)[] | null | undefined = row.host?.moods;`,
      `export const updated: UpdatedRecord<Row> = { id: 'a', doc: null, amount: null };`,
      `export const whole: UpdatedRecord<PgListenerTables['whole']>['note'] = null;`,
      `// @ts-expect-error no such attribute`,
      `row.guests[0]?.nope;`,
      `// @ts-expect-error a key is always there`,
      `export const wrong: UpdatedRecord<Row> = { doc: null, amount: null };`,
      `// @ts-expect-error nothing of it is large where the old row comes whole`,
      `export const more: UpdatedRecord<PgListenerTables['whole']> = { id: 1 };`,
    ];
    expect(compile({ 'use.ts': use.join('\n') })).toEqual([]);
    expect(text).toContain('note: Toastable<string>;');
    expect(await write()).toContain('guests: string;');
  }, 60_000);
});
