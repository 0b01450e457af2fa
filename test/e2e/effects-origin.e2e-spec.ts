import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Injectable, type Type } from '@nestjs/common';
import {
  OnTableChange,
  type Change,
  type InsertChange,
  type PgListenerOptions,
  type TransactionalContext,
} from 'nestjs-pg-listener';
import { TestApplications } from '../support/application.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { sleep, waitFor } from '../support/wait.js';

/** Writes to the table that it listens to, three times in all. */
function echoOf(pattern: string, seen: number[]): Type {
  @Injectable()
  class Echo {
    @OnTableChange(pattern, 'insert', { id: 'echo', transactional: true, concurrency: 2 })
    async echo(change: Change, { client }: TransactionalContext): Promise<void> {
      const id = (change as InsertChange).record['id'] as number;
      seen.push(id);
      if (id < 100) await client.query('INSERT INTO orders VALUES ($1)', [id + 40]);
    }
  }
  return Echo;
}

describe('a transactional handler that writes to its own table', () => {
  let db: TestDatabase;
  let version: number;
  const apps = new TestApplications();

  beforeEach(async () => {
    db = await createDatabase();
    await db.query('CREATE TABLE orders (id int PRIMARY KEY)');
    version = (await db.query(`SELECT current_setting('server_version_num')::int AS version`))[0].version;
  });
  afterEach(async () => {
    await apps.close();
    await db.drop();
  });

  const options = (more: Partial<PgListenerOptions> = {}): PgListenerOptions => ({
    connection: db.url,
    slot: db.slot(),
    ...more,
  });

  it('hears itself, and is told so: at boot where it listens by a pattern, and when it happens', async () => {
    const seen: number[] = [];
    const app = await apps.start(options(), [echoOf('*', seen)]);
    expect(app.logs.find(/^warn echo is transactional and listens to tables by a pattern/)).toBeDefined();
    await db.query('INSERT INTO orders VALUES (1)');
    await waitFor(() => seen.length === 4, '1, 41, 81 and 121');
    expect(app.logs.find(/^warn Handler echo is called for a change that it has made itself/)).toBeDefined();
  });

  it("does not hear itself with origin: 'none', nor does anybody else of the app; before 16 that is refused", async () => {
    const seen: number[] = [];
    const starting = apps.start(options({ origin: 'none' }), [echoOf('*', seen)]);
    if (version < 160_000) {
      await expect(starting).rejects.toThrow(/`origin: 'none'` needs PostgreSQL 16/);
      return;
    }
    const app = await starting;
    expect(app.logs.find(/listens to tables by a pattern/)).toBeUndefined();
    await db.query('INSERT INTO orders VALUES (1), (2)');
    await waitFor(
      () => seen.length === 2,
      () => `both: ${app.logs.lines.slice(-4).join('\n')}`,
    );
    await db.query('INSERT INTO orders VALUES (3)');
    await waitFor(() => seen.length === 3, 'the third');
    await sleep(100);
    expect(seen.toSorted((a, b) => a - b)).toEqual([1, 2, 3]);
    // The server's, for all apps: no more than sessions at a time.
    const origins = await db.query(`SELECT roname FROM pg_replication_origin WHERE roname LIKE 'nestjs_pg_listener_%'`);
    expect(origins.map(({ roname }) => roname).sort()).toEqual(['nestjs_pg_listener_1', 'nestjs_pg_listener_2']);
    expect(await db.query('SELECT id FROM orders WHERE id > 3 ORDER BY id')).toEqual([
      { id: 41 },
      { id: 42 },
      { id: 43 },
    ]);
  });

  it("tells which rights origin: 'none' needs", async () => {
    if (version < 160_000) return;
    const role = `poor_${db.name}`;
    await db.query(`CREATE ROLE ${role} LOGIN REPLICATION; GRANT ALL ON SCHEMA public TO ${role};
      ALTER TABLE orders OWNER TO ${role}; GRANT CREATE ON DATABASE ${db.name} TO ${role}`);
    const url = new URL(db.url);
    url.username = role;
    await expect(
      apps.start(options({ connection: url.toString(), origin: 'none' }), [echoOf('orders', [])]),
    ).rejects.toThrow(/GRANT EXECUTE ON FUNCTION pg_replication_origin_create\(text\) TO/);
    await db.query(`REASSIGN OWNED BY ${role} TO CURRENT_USER; DROP OWNED BY ${role}; DROP ROLE ${role}`);
  });
});
