import { query } from './cluster.mjs';
import { SHAPES } from './shapes.mjs';

export const PUBLICATION = 'bench';
const TEMPLATE = 'template_of';
/** For a walsender to notice that its consumer has gone. */
const PATIENCE_MS = 60_000;

/**
 * Changes that wait in the log of a database of their own. Each consumer reads them from a copy of one slot, so that all
 * read the same bytes from the same place.
 */
export class Backlog {
  #copies = 0;

  constructor(cluster, database, shape) {
    this.cluster = cluster;
    this.database = database;
    this.shape = shape;
    this.url = cluster.server.urlOf(database);
  }

  /** @param changes about how many; `this.changes` is what it became */
  static async create(cluster, shape, changes) {
    const { tables, fill, count } = SHAPES[shape];
    const database = `bench_${shape}`;
    await query(cluster.server.url, `CREATE DATABASE ${database}`);
    const backlog = new Backlog(cluster, database, shape);
    for (const statement of tables) await query(backlog.url, statement);
    await query(backlog.url, `CREATE PUBLICATION ${PUBLICATION} FOR ALL TABLES`);
    await query(backlog.url, `SELECT pg_create_logical_replication_slot('${TEMPLATE}_${shape}', 'pgoutput')`);
    for (const statement of fill(changes)) await query(backlog.url, statement);
    [{ lsn: backlog.lastCommit }] = await query(backlog.url, 'SELECT pg_current_wal_insert_lsn() AS lsn');
    // With synchronous_commit off, what is committed is not yet what the walsender sends.
    await query(backlog.url, 'SET synchronous_commit = on; CREATE TABLE end_of_backlog (id int)');
    [{ lsn: backlog.end }] = await query(backlog.url, 'SELECT pg_current_wal_flush_lsn() AS lsn');
    return Object.assign(backlog, count(changes));
  }

  async copySlot() {
    const name = `${this.database}_${++this.#copies}`;
    await query(this.url, 'SELECT pg_copy_logical_replication_slot($1, $2)', [`${TEMPLATE}_${this.shape}`, name]);
    return name;
  }

  /** What the slot's consumer has confirmed, in bytes before the last commit of the backlog; negative: beyond it. */
  async confirmedBehind(slot) {
    const rows = await query(
      this.url,
      `SELECT pg_wal_lsn_diff($2, confirmed_flush_lsn)::float8 AS behind FROM pg_replication_slots WHERE slot_name = $1`,
      [slot, this.lastCommit],
    );
    return rows[0].behind;
  }

  async drop() {
    await dropSlot(this.url, `${TEMPLATE}_${this.shape}`);
    await query(this.cluster.server.url, `DROP DATABASE ${this.database} WITH (FORCE)`);
  }
}

/** The walsender of a consumer that has just ended may still hold it. */
export async function dropSlot(url, slot) {
  for (const giveUpAt = Date.now() + PATIENCE_MS; Date.now() < giveUpAt;) {
    const [found] = await query(url, 'SELECT active_pid FROM pg_replication_slots WHERE slot_name = $1', [slot]);
    if (found === undefined) return;
    if (found.active_pid === null) {
      await query(url, 'SELECT pg_drop_replication_slot($1)', [slot]);
      return;
    }
    await new Promise((done) => setTimeout(done, 20));
  }
  throw new Error(`the slot ${slot} is still held`);
}
