import { existsSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Change } from 'nestjs-pg-listener';
import { startPostgres, type PostgresServer } from '#lib/testing/index.js';
import { recorderOf, TestApplications } from '../../support/application.js';
import { createDatabase, type TestDatabase } from '../../support/database.js';
import { Workload, WORKLOAD_DDL } from '../../support/oracles/workload.js';
import { printSeed, SEED } from '../../support/values/property.js';
import { waitFor } from '../../support/wait.js';

/** Of Debian's postgresql-15 and postgresql-15-wal2json. */
const NATIVE = '/usr/lib/postgresql/15';
const isInstalled = existsSync(`${NATIVE}/lib/wal2json.so`) && existsSync(`${NATIVE}/bin/initdb`);
const isRequired = process.env['PG_LISTENER_REQUIRE_WAL2JSON'] === '1';
if (!isInstalled && !isRequired)
  process.stderr.write("wal2json: skipped, Debian's postgresql-15-wal2json is not installed\n");
printSeed('wal2json');

interface Column {
  readonly name: string;
  readonly value: string | number | boolean | null;
}
/** Format 2: an object a change. */
interface TheirChange {
  readonly action: 'B' | 'C' | 'I' | 'U' | 'D' | 'T' | 'M';
  readonly xid: number;
  readonly schema: string;
  readonly table: string;
  readonly columns?: readonly Column[];
  readonly identity?: readonly Column[];
}
type Line = readonly unknown[];
type Row = Readonly<Record<string, unknown>>;

const OPERATIONS = { I: 'insert', U: 'update', D: 'delete', T: 'truncate' } as const;
const rowOf = (columns: readonly Column[] | undefined): Row | null =>
  columns === undefined
    ? null
    : Object.fromEntries(
        columns.map(({ name, value }) => [name, typeof value === 'boolean' ? String(value)[0] : value]),
      );

/** Numbers as they are written: a JavaScript number holds less than numeric. */
function parse(data: string): TheirChange {
  return JSON.parse(data.replaceAll(/"value":(-?\d[^,}]*)/g, '"value":"$1"')) as TheirChange;
}

function theirs(change: TheirChange): Line {
  const { action, xid, schema, table, columns, identity } = change;
  const [row, old] = [rowOf(columns), rowOf(identity)];
  // What is out of line and unchanged stands in its old row alone.
  const record = action === 'U' ? { ...old, ...row } : row;
  return [xid, OPERATIONS[action as 'I'], `${schema}.${table}`, record, old];
}

/** What it tells: unchanged TOAST that the server does not send is left out; an update has its key, changed or not. */
function ours(change: Change, keys: Readonly<Record<string, readonly string[]>>): Line {
  const head = [change.xid, change.operation, `${change.schema}.${change.table}`];
  if (change.operation === 'truncate') return [...head, null, null];
  // It writes hex alone.
  const text = (row: Row): Row =>
    'bytes' in row ? { ...row, bytes: (row['bytes'] as string | null)?.slice(2) ?? null } : { ...row };
  const record = 'record' in change ? text(change.record as Row) : null;
  if (change.operation === 'insert') return [...head, record, null];
  const old = 'oldRecord' in change ? change.oldRecord : null;
  const key = keys[change.table];
  const identity = old ?? Object.fromEntries(key!.map((name) => [name, record![name]]));
  return [...head, record, identity];
}

const run = isInstalled || isRequired ? describe : describe.skip;

run('wal2json', () => {
  let server: PostgresServer;
  let db: TestDatabase;
  const apps = new TestApplications();

  beforeAll(async () => {
    server = await startPostgres({ nativeDirectory: NATIVE });
    db = await createDatabase(server.url);
  });
  afterAll(async () => {
    await apps.close();
    await db?.drop();
    await server?.stop();
  });

  it.each([false, true])(
    'tells the same changes, in the same order, with the same values; in parts: %s',
    async (streaming) => {
      await db.query('DROP SCHEMA public CASCADE; CREATE SCHEMA public');
      await db.query(`ALTER DATABASE ${db.name} SET logical_decoding_work_mem = '64kB'`);
      await db.query(WORKLOAD_DDL);
      await db.query(
        `DROP PUBLICATION IF EXISTS pub; CREATE PUBLICATION pub FOR TABLE plain, whole, keyed, toasted, leaf, "Odd Name"`,
      );
      const recorder = recorderOf();
      const [slot, other] = [db.slot(`ours_${streaming}`), db.slot(`theirs_${streaming}`)];
      // Values as the server has written them, so that nobody's parser stands between the two.
      const connection = { connectionString: db.url, types: { getTypeParser: () => (text: string) => text } };
      await apps.start({ connection: connection as never, slot, publications: ['pub'], streaming }, [recorder]);
      await db.query(`SELECT pg_create_logical_replication_slot($1, 'wal2json')`, [other]);
      await new Workload(db.client, { seed: SEED + Number(streaming), transactions: 150, messages: false }).run();
      await db.query('INSERT INTO parted VALUES (2000000000, NULL)');
      await waitFor(
        () => recorder.changes.some((change) => 'record' in change && String(change.record['id']) === '2000000000'),
        'the last row',
        30_000,
      );
      const rows = await db.query<{ data: string }>(
        `SELECT data FROM pg_logical_slot_get_changes($1, NULL, NULL, 'format-version', '2', 'include-xids', 'true',  'add-tables', 'public.*')`,
        [other],
      );
      const heard = rows.map(({ data }) => parse(data)).filter(({ action }) => action in OPERATIONS);
      const keys = { plain: ['id'], keyed: ['code'], toasted: ['id'], leaf: ['id'], 'Odd Name': ['id'] };
      const mine = recorder.changes.map((change) => ours(change, keys));
      expect(heard.length).toBeGreaterThan(200);
      expect(new Set(heard.map(({ action }) => action))).toEqual(new Set(['I', 'U', 'D', 'T']));
      expect(mine.slice(0, 20)).toEqual(heard.slice(0, 20).map(theirs));
      expect(mine).toEqual(heard.map(theirs));
    },
  );
});
