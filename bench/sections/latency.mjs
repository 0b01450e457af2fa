import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { dropSlot, PUBLICATION } from '../support/backlog.mjs';
import { query, targetOf } from '../support/cluster.mjs';
import { CONSUMERS } from '../support/consumers.mjs';
import { startConsumer } from '../support/run-consumer.mjs';
import { SHAPES } from '../support/shapes.mjs';
import { median, rotated } from '../support/statistics.mjs';

const WHO = [
  'ours, sync',
  'ours, async',
  'pg-logical-replication',
  'pg-logical-replication, fastest',
  'postgres',
  'pgwire',
  'LISTEN/NOTIFY',
];
const COMMITS_A_SECOND = 500;
/** Connections that write as fast as they can, where the server is to be saturated. */
const WRITERS = 2;
const DATABASE = 'bench_latency';

/** From the sending of an INSERT that commits by itself to its handler, each consumer alone with the same writer. */
export async function measureLatency(cluster, { rounds, seconds, log }) {
  await query(cluster.server.url, `CREATE DATABASE ${DATABASE}`);
  const url = cluster.server.urlOf(DATABASE);
  for (const statement of [...SHAPES.narrow.tables, `CREATE PUBLICATION ${PUBLICATION} FOR ALL TABLES`, NOTIFY]) {
    await query(url, statement);
  }
  const figures = { paced: of(WHO), saturated: of(WHO) };
  for (let round = 1; round <= rounds; round++) {
    for (const load of ['paced', 'saturated']) {
      for (const name of rotated(WHO, round)) {
        const run = await one(cluster, url, name, load, seconds);
        figures[load][name].push(run);
        const [p50, p99, p999] = [run.p50, run.p99, run.p999].map((ms) => ms.toFixed(2));
        log(`${round}/${rounds} ${load} ${name}: p50 ${p50}, p99 ${p99}, p99.9 ${p999} ms`);
      }
    }
  }
  return Object.fromEntries(
    Object.entries(figures).map(([load, byName]) => [
      load,
      Object.fromEntries(WHO.map((name) => [name, summary(byName[name])])),
    ]),
  );
}

const NOTIFY = `
  CREATE FUNCTION announce() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_notify('orders', json_build_object('id', new.id, 'status', new.status)::text); RETURN NULL; END $$;
  CREATE TRIGGER announce AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION announce();
  ALTER TABLE orders DISABLE TRIGGER announce`;

let slots = 0;

async function one(cluster, url, name, load, seconds) {
  const consumer = CONSUMERS[name];
  const isNotified = consumer.module === 'listen-notify';
  // A name that was used before would be a slot that somebody has re-created.
  const slot = `${DATABASE}_${++slots}`;
  await query(url, `TRUNCATE orders; ALTER TABLE orders ${isNotified ? 'ENABLE' : 'DISABLE'} TRIGGER announce`);
  if (!isNotified) await query(url, 'SELECT pg_create_logical_replication_slot($1, $2)', [slot, 'pgoutput']);
  const expected = load === 'paced' ? COMMITS_A_SECOND * seconds : 4_000 * seconds;
  const job = {
    section: 'latency',
    consumer,
    slot,
    publication: PUBLICATION,
    expected,
    target: targetOf(cluster, DATABASE),
  };
  const running = await startConsumer(job);
  // It may say that it listens before the server has started to send.
  await sleep(300);
  try {
    const startedAt = performance.now();
    await (load === 'paced' ? writePaced(url, expected) : writeAtFullSpeed(url, expected));
    const commitsPerSecond = (expected * 1_000) / (performance.now() - startedAt);
    const report = await running.finished;
    const sum = (expected * (expected + 1)) / 2;
    if (report.sum !== sum) throw new Error(`${name} summed ${report.sum} instead of ${sum}`);
    return { ...report, commitsPerSecond };
  } finally {
    running.stop();
    if (!isNotified) await dropSlot(url, slot);
  }
}

const INSERT = { name: 'insert', text: `INSERT INTO orders VALUES ($1, 7, 12.5, $2)` };
const insert = (client, id) => client.query({ ...INSERT, values: [id, String(process.hrtime.bigint())] });

/** A commit every two milliseconds, by the clock: one that is late is not followed by a longer pause. */
async function writePaced(url, commits) {
  await withClient(url, async (client) => {
    const start = performance.now();
    for (let id = 1; id <= commits; id++) {
      const wait = start + (id * 1_000) / COMMITS_A_SECOND - performance.now();
      if (wait > 0) await sleep(wait);
      await insert(client, id);
    }
  });
}

async function writeAtFullSpeed(url, commits) {
  let next = 1;
  await Promise.all(
    Array.from({ length: WRITERS }, () =>
      withClient(url, async (client) => {
        while (next <= commits) await insert(client, next++);
      }),
    ),
  );
}

async function withClient(url, work) {
  const client = new pg.Client(url);
  await client.connect();
  try {
    // A walsender sends what is flushed, and without this the flush comes within 200 ms.
    await client.query('SET synchronous_commit = on');
    await work(client);
  } finally {
    await client.end();
  }
}

const of = (names) => Object.fromEntries(names.map((name) => [name, []]));

function summary(runs) {
  const of = (key) => median(runs.map((run) => run[key]));
  return { commitsPerSecond: of('commitsPerSecond'), p50: of('p50'), p99: of('p99'), p999: of('p999'), runs };
}
