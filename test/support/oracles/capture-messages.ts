/**
 * Writes test/fixtures/pgoutput/<major>/: what a server of that version sends for one workload, in each form that it
 * knows, and beside it what SQL says of the same workload. In the matrix' servers, by `npm run fixtures:pgoutput`:
 *
 *     node build/test/support/oracles/capture-messages.js FOLDER
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type pg from 'pg';
import { startPostgres } from 'nestjs-pg-listener/testing';
import { connect } from '../database.js';
import { waitFor } from '../wait.js';
import { streamToJson } from './fixture.js';
import { LiveCapture } from './live-capture.js';
import type { PluginOptions } from './messages.js';
import { Scribe, type WrittenTable } from './scribe.js';

const KINDS: WrittenTable = { name: 'kinds', called: 'public.kinds', identity: ['id'] };
const WHOLE: WrittenTable = { name: 'whole', called: 'public.whole', identity: 'full' };
const KEYED: WrittenTable = { name: 'keyed', called: 'public.keyed', identity: ['a', 'b'] };
const TOASTED: WrittenTable = { name: 'toasted', called: 'public.toasted', identity: ['id'] };
const ODD: WrittenTable = { name: '"Odd Schema"."Tä""ble 🐘"', called: 'Odd Schema.Tä"ble 🐘', identity: ['Id'] };
const LEAF: WrittenTable = { name: 'leaf', called: 'public.leaf', identity: ['id'] };
const BULK = `INSERT INTO bulk SELECT i, repeat('x', 1500) FROM generate_series(1, 60) AS i`;
const LONG = `repeat('x', 2100)`;

/** `bulk` is not published: it makes transactions large, and adds no message. */
const TABLES = `
  CREATE TYPE mood AS ENUM ('sad', 'ok', 'Ärger');
  CREATE DOMAIN positive AS int CHECK (value > 0);
  CREATE TABLE kinds (id int PRIMARY KEY, flag bool, small int2, large int8, ratio float8, amount numeric, note text,
    at timestamptz, uid uuid, data jsonb, bytes bytea, tags text[], numbers int4[], span interval, feeling mood,
    size positive, place point, net inet, bits varbit, range int4range);
  CREATE TABLE whole (id int, big text, n int); ALTER TABLE whole REPLICA IDENTITY FULL;
  CREATE TABLE keyed (a int NOT NULL, b text NOT NULL, c text, UNIQUE (a, b));
  ALTER TABLE keyed REPLICA IDENTITY USING INDEX keyed_a_b_key;
  CREATE TABLE toasted (id int PRIMARY KEY, big text, n int);
  CREATE SCHEMA "Odd Schema";
  CREATE TABLE ${ODD.name} ("Id" int PRIMARY KEY, "__proto__" text, "a b" text, "ключ" text);
  CREATE TABLE parted (id int PRIMARY KEY, t text) PARTITION BY RANGE (id);
  CREATE TABLE leaf PARTITION OF parted FOR VALUES FROM (0) TO (1000);
  CREATE TABLE bulk (id int, t text);
  ALTER TABLE whole ALTER COLUMN big SET STORAGE EXTERNAL;
  ALTER TABLE toasted ALTER COLUMN big SET STORAGE EXTERNAL;
  CREATE PUBLICATION pub FOR TABLE kinds, whole, keyed, toasted, ${ODD.name}, leaf`;

const ROW = (id: number): string => `(${id}, true, -7, 9007199254740993, 'NaN', -12.5000, 'Grüße 🐘 "quoted"',
  '2026-01-02 03:04:05.678901+00', '6ecd8c99-4036-403d-bf84-cf8400f67836', '{"a": [1, 2.50, null], "ß": "ü"}',
  '\\xdeadbeef00ff', '{a,"b c",NULL,"{x}"}', '{{1,2},{3,NULL}}', '1 year 2 mons -3 days 04:05:06.789', 'Ärger', 42,
  '(1.5,-2)', '192.168.0.0/24', B'10110', '[1,10)')`;

interface Form {
  readonly name: string;
  readonly since: number;
  readonly options: PluginOptions;
  readonly isTwoPhase?: true;
}

const base = { publication_names: 'pub', messages: 'true' };
const FORMS: readonly Form[] = [
  { name: 'text', since: 14, options: { proto_version: '1', ...base } },
  { name: 'binary', since: 14, options: { proto_version: '1', ...base, binary: 'true' } },
  { name: 'streamed', since: 14, options: { proto_version: '2', ...base, streaming: 'on' } },
  {
    name: 'two-phase',
    since: 15,
    options: { proto_version: '3', ...base, binary: 'true', streaming: 'on' },
    isTwoPhase: true,
  },
  { name: 'parallel', since: 16, options: { proto_version: '4', ...base, streaming: 'parallel' } },
];

interface World {
  readonly scribe: Scribe;
  /** Resolves when all that are told of transactions in progress have had another part of this one. */
  readonly streamed: () => Promise<void>;
  readonly query: (sql: string) => Promise<unknown>;
}

async function plainTransactions({ scribe, query }: World): Promise<void> {
  await scribe.transaction(async () => {
    await scribe.insert(KINDS, `${ROW(1)}, ${ROW(2)}`);
    await scribe.insert(KINDS, '(3)');
    await scribe.update(KINDS, `note = '', tags = '{}', flag = NULL, ratio = '-Infinity', amount = 1e20`, 'id = 1');
    await scribe.update(KINDS, 'id = 20', 'id = 2');
    await scribe.delete(KINDS, 'id = 3');
  });
  await scribe.transaction(async () => {
    await scribe.insert(WHOLE, `(1, ${LONG}, 1), (2, NULL, NULL)`);
    await scribe.update(WHOLE, 'n = 2', 'id = 1');
    await scribe.delete(WHOLE, 'id = 2');
    await scribe.insert(KEYED, `(1, 'one', 'x')`);
    await scribe.update(KEYED, `c = 'y'`, 'a = 1');
    await scribe.update(KEYED, `b = 'two'`, 'a = 1');
    await scribe.delete(KEYED, 'a = 1');
    await scribe.insert(TOASTED, `(1, ${LONG}, 1)`);
    await scribe.update(TOASTED, 'n = 2', 'id = 1', ['big']);
  });
  await scribe.transaction(async () => {
    await scribe.insert(ODD, `(1, 'proto', '', NULL)`);
    await scribe.update(ODD, `"Id" = 2`, '"Id" = 1');
    await scribe.insert(LEAF, `(5, 'in a partition')`);
    await scribe.message('outbox', 'within');
    await scribe.rolledBack(() => scribe.insert(LEAF, `(6, 'gone')`), 'leaf WHERE id = 6');
    await scribe.truncate([TOASTED, LEAF], { restart: true });
    await scribe.truncate([WHOLE], { cascade: true });
  });
  await scribe.transaction(async () => scribe.messageAlone('outbox', 'alone, Grüße'), {
    commit: ['ROLLBACK'],
    isHeard: false,
  });
  await query('ALTER TABLE keyed ADD COLUMN d int DEFAULT 7, DROP COLUMN c');
  await scribe.transaction(() => scribe.insert(KEYED, `(2, 'two', 8)`));
}

async function fromElsewhere({ scribe, query }: World): Promise<void> {
  await query(
    `SELECT pg_replication_origin_create('elsewhere'); SELECT pg_replication_origin_session_setup('elsewhere')`,
  );
  const work = async (): Promise<void> => {
    await query(`SELECT pg_replication_origin_xact_setup('0/1234', now())`);
    await scribe.insert(KEYED, `(3, 'three', 9)`);
  };
  await scribe.transaction(work, { origin: 'elsewhere' });
  await query('SELECT pg_replication_origin_session_reset()');
}

/** Large ones. @returns what was sent and then rolled back */
async function largeTransactions({ scribe, query, streamed }: World): Promise<number[]> {
  const aborted: number[] = [];
  const bulk = async (): Promise<void> => {
    await query(BULK);
    await streamed();
  };
  await scribe.transaction(async () => {
    await scribe.insert(KINDS, ROW(30));
    await bulk();
    const lost = async (): Promise<void> => {
      await scribe.insert(KEYED, `(4, 'lost', 1)`);
      await bulk();
    };
    aborted.push(await scribe.rolledBack(lost, 'keyed WHERE a = 4'));
    await query('ALTER TABLE keyed ADD COLUMN e text');
    await scribe.insert(KEYED, `(5, 'kept', 1, 'e')`);
    await scribe.messageAlone('outbox', 'alone within a part');
    await bulk();
    await scribe.truncate([TOASTED]);
  });
  // Of a savepoint that was rolled back, the server does not tell which messages went with it: not in one with the other.
  await scribe.transaction(async () => {
    await scribe.message('outbox', 'in a part');
    await bulk();
  });
  const gone = async (): Promise<void> => {
    await scribe.insert(KINDS, ROW(31));
    await bulk();
  };
  aborted.push(await scribe.transaction(gone, { commit: ['ROLLBACK'], isHeard: false }));
  return aborted;
}

async function prepared({ scribe, query, streamed }: World): Promise<void> {
  const end = (gid: string, how: string): string[] => [`PREPARE TRANSACTION '${gid}'`, `${how} PREPARED '${gid}'`];
  await scribe.transaction(() => scribe.insert(KINDS, ROW(40)), { commit: end('small Ä', 'COMMIT') });
  await scribe.transaction(() => scribe.insert(KINDS, ROW(41)), { commit: end('small', 'ROLLBACK'), isHeard: false });
  const large = (id: number) => async (): Promise<void> => {
    await scribe.insert(KINDS, ROW(id));
    await query(BULK);
    await streamed();
  };
  await scribe.transaction(large(42), { commit: end('large', 'COMMIT') });
  await scribe.transaction(large(43), { commit: end('large', 'ROLLBACK'), isHeard: false });
}

async function typesOf(client: pg.Client): Promise<object> {
  const domains = await client.query(
    `SELECT oid::int, typbasetype::int AS base FROM pg_type WHERE typname = 'positive'`,
  );
  const enums = await client.query(`SELECT oid::int FROM pg_type WHERE typname = 'mood'`);
  return { domains: domains.rows.map(({ oid, base }) => [oid, base]), enums: enums.rows.map(({ oid }) => oid) };
}

async function capture(folder: string, url: string): Promise<void> {
  const client = await connect(url);
  const captures = new Map<Form, LiveCapture>();
  try {
    await client.query(TABLES);
    const [{ version }] = (await client.query(`SELECT current_setting('server_version') AS version`)).rows;
    const major = Number.parseInt(version, 10);
    for (const form of FORMS.filter(({ since }) => since <= major)) {
      const slot = form.name.replace('-', '_');
      const flags = form.isTwoPhase ? ', false, true' : '';
      await client.query(`SELECT pg_create_logical_replication_slot('${slot}', 'pgoutput'${flags})`);
      captures.set(form, await LiveCapture.start(url, slot, form.options));
    }
    const live = [...captures].filter(([{ options }]) => 'streaming' in options).map(([, each]) => each);
    const seen = new Map<number, number>();
    const streamed = async (): Promise<void> => {
      const xid = Number((await client.query('SELECT pg_current_xact_id()::text AS xid')).rows[0].xid);
      const before = seen.get(xid) ?? 0;
      const parts = (): number => Math.min(...live.map((each) => each.partsOf(xid)));
      await waitFor(() => parts() > before, 'another part');
      seen.set(xid, Math.max(...live.map((each) => each.partsOf(xid))));
    };
    const world: World = { scribe: new Scribe(client), streamed, query: (sql) => client.query(sql) };
    await plainTransactions(world);
    await fromElsewhere(world);
    const aborted = await largeTransactions(world);
    await prepared(world);
    await world.scribe.transaction(() => world.scribe.message('end', ''));
    const last = Buffer.from('end\0');
    await waitFor(
      () => [...captures.values()].every(({ messages }) => messages.some(({ data }) => data.includes(last))),
      'the end',
    );
    await waitFor(() =>
      [...captures.values()].every(({ messages }) => 'Cc'.includes(String.fromCharCode(messages.at(-1)!.data[0]!))),
    );
    const { transactions } = world.scribe;
    const into = join(folder, String(major));
    mkdirSync(into, { recursive: true });
    const lines = transactions.map((each) => `  ${JSON.stringify(each)}`).join(',\n');
    const types = JSON.stringify(await typesOf(client));
    writeFileSync(
      join(into, 'expected.json'),
      `{\n "server": "${version}",\n "aborted": ${JSON.stringify(aborted)},\n "types": ${types},\n "transactions": [\n${lines}\n ]\n}\n`,
    );
    for (const [{ name, options }, { messages }] of captures)
      writeFileSync(join(into, `${name}.json`), streamToJson({ options, messages }));
  } finally {
    for (const each of captures.values()) await each.close();
    await client.end();
  }
}

const nativeDirectory = process.env['PG_LISTENER_TEST_NATIVE'];
const settings = {
  logical_decoding_work_mem: '64kB',
  max_prepared_transactions: '5',
  track_commit_timestamp: 'on',
  wal_sender_timeout: '0',
  // Whole pages of what has not committed reach the streams at once.
  wal_writer_delay: '10ms',
  TimeZone: 'UTC',
};
const server = await startPostgres({ nativeDirectory, settings });
try {
  await capture(process.argv[2] ?? 'test/fixtures/pgoutput', server.url);
} finally {
  await server.stop('immediate');
}
