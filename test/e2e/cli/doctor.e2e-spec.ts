import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import pg, { type ClientConfig } from 'pg';
import { startPostgres, type PostgresServer } from 'nestjs-pg-listener/testing';
import { findPgBouncer, startPgBouncer } from '../../support/catalogue/pgbouncer.js';
import { runCommand, RunningCommands } from '../../support/command-line.js';
import { connect, createDatabase, dropSlots, withClient, type TestDatabase } from '../../support/database.js';
import { freePort } from '#lib/testing/free-port.js';
import { sleep, waitFor } from '../../support/wait.js';
import { packageRoot } from '../../unit/package-root.js';

interface Finding {
  check: string;
  level: 'ok' | 'warning' | 'error';
  what: string;
  mend: ({ sql: string; by: string } | { step: string })[];
}

interface Diagnosis {
  code: number | null;
  findings: Finding[];
  errors: number;
  warnings: number;
}

function faultsOf({ findings }: Diagnosis, checks: readonly string[]): Finding[] {
  return findings.filter(({ check, level }) => checks.includes(check) && level !== 'ok');
}

/** A stock server of its own, which is broken on purpose: its configuration is what `initdb` has made. */
describe('doctor', () => {
  let server: PostgresServer;
  let db: TestDatabase;
  let version = 0;
  const commands = new RunningCommands();
  const sessions: pg.Client[] = [];
  const cleanUp: (() => Promise<unknown>)[] = [];

  const url = (user = 'postgres'): string => server.urlOf(db.name, user);
  /** Each statement by itself: ALTER SYSTEM goes in no transaction. */
  const asSuperuser = (...statements: string[]): Promise<void> =>
    withClient(url(), async (client) => {
      for (const sql of statements) await client.query(sql);
    });
  const diagnose = async (user?: string, ...words: string[]): Promise<Diagnosis> => {
    const { code, stdout, stderr } = await runCommand(['doctor', url(user), '--json', ...words]);
    expect(stderr).toBe('');
    return { code, ...(JSON.parse(stdout) as Omit<Diagnosis, 'code'>) };
  };
  const restart = async (): Promise<void> => {
    await server.pause();
    await server.start();
  };
  const session = async (config: string | ClientConfig): Promise<pg.Client> => {
    const client = await connect(config);
    sessions.push(client);
    return client;
  };
  /** Does what is printed, and nothing else. */
  const follow = async (findings: readonly Finding[]): Promise<void> => {
    for (const mend of findings.flatMap((each) => each.mend)) {
      if ('sql' in mend) await asSuperuser(mend.sql);
      else if (mend.step.startsWith('restart the server')) await restart();
    }
  };

  beforeAll(async () => {
    server = await startPostgres({ settings: { wal_level: null } });
    version = await withClient(server.url, async (client) => {
      const { rows } = await client.query(`SELECT current_setting('server_version_num')::int AS version`);
      return rows[0].version;
    });
  });
  beforeEach(async () => {
    db = await createDatabase(server.url);
  });
  afterEach(async () => {
    await commands.close();
    for (const undo of cleanUp.splice(0)) await undo();
    await Promise.all(sessions.splice(0).map((client) => client.end().catch(() => undefined)));
    await db.client.end().catch(() => undefined);
    await withClient(server.url, async (admin) => {
      await dropSlots(admin);
      await admin.query(`DROP DATABASE ${db.name} WITH (FORCE)`);
      await admin.query('DROP ROLE IF EXISTS app');
    });
  });
  afterAll(async () => {
    await server?.stop('immediate');
  });

  it('leads from a stock server to a tail that shows a change, by nothing but what it prints', async () => {
    const first = await runCommand(['doctor', url()]);
    expect(first.code).toBe(1);
    expect(first.stdout).toContain('wal_level is replica');
    // What a person would copy: the statements stand alone in their lines.
    for (const line of first.stdout.split('\n').map((each) => each.trim())) {
      if (/^(ALTER|SELECT|CREATE|GRANT)\b.*;$/.test(line)) await asSuperuser(line);
      if (line.startsWith('Mend: restart the server')) await restart();
    }
    const again = /^ {2}npx nestjs-pg-listener (doctor) '(.*)'$/m.exec(first.stdout)!;
    const second = await runCommand([again[1]!, again[2]!]);
    expect({ code: second.code, errors: second.stdout.includes(' error ') }).toEqual({ code: 0, errors: false });
    await asSuperuser(/CREATE TABLE orders .*;/.exec(second.stdout)![0]);
    const next = /^ {2}npx nestjs-pg-listener (tail) '(.*)'$/m.exec(second.stdout)!;
    const tail = commands.start([next[1]!, next[2]!]);
    await tail.saysOnStderr('Watching *');
    await asSuperuser(`INSERT INTO orders VALUES (1, 'new')`);
    await waitFor(() => /^INSERT {3}public\.orders .*\n {2}id +1\n {2}status +new\n/m.test(tail.stdout), 'the change');
    expect((await tail.end('SIGINT')).code).toBe(0);
  });

  it('finds what a role lacks, and what it prints makes it go away', async () => {
    await asSuperuser(
      'CREATE ROLE app LOGIN',
      'ALTER ROLE app SET default_transaction_read_only = on',
      'CREATE TABLE orders (id int PRIMARY KEY); CREATE TABLE keyless (id int)',
    );
    await (await session(url())).query('BEGIN; CREATE TABLE unfinished (id int)');
    const before = await diagnose('app');
    const faults = before.findings.filter(({ level }) => level === 'error');
    expect(faults).toMatchObject([
      { check: 'replication-right', what: expect.stringContaining('"app" lacks the attribute REPLICATION') },
      // It may not see how long.
      {
        check: 'open-transaction',
        what: expect.stringContaining('A transaction that writes has been open for a while'),
      },
      { check: 'read-only', what: expect.stringContaining('are read-only') },
      { check: 'create-right', what: expect.stringContaining('"app" may not create in the database') },
      { check: 'ownership', what: expect.stringContaining('public.keyless, public.orders') },
    ]);
    expect(before.code).toBe(1);
    await follow(faults);
    const after = await diagnose('app');
    expect({
      code: after.code,
      left: faultsOf(
        after,
        faults.map(({ check }) => check),
      ),
    }).toEqual({ code: 0, left: [] });
    // What it has had published does not break what is written.
    await asSuperuser('INSERT INTO keyless VALUES (1)', 'UPDATE keyless SET id = 2');
  });

  it('finds what hangs, fills up and lies about, and what it prints makes it go away', async () => {
    const hasIdleTimeout = version >= 180_000;
    await asSuperuser(
      'ALTER SYSTEM SET max_replication_slots = 1',
      'ALTER SYSTEM SET max_wal_senders = 1',
      'ALTER SYSTEM SET max_prepared_transactions = 5',
      'ALTER SYSTEM SET max_slot_wal_keep_size = -1',
      ...(hasIdleTimeout ? [`ALTER SYSTEM SET idle_replication_slot_timeout = '1h'`] : []),
    );
    await restart();
    await asSuperuser(
      `SELECT pg_create_logical_replication_slot('forgotten', 'pgoutput')`,
      'CREATE TABLE log (line text); CREATE TABLE loose (id int); CREATE TABLE parts (id int) PARTITION BY LIST (id)',
      'CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1)',
      'CREATE PUBLICATION everything FOR TABLE log, parts WITH (publish_via_partition_root = true)',
      'INSERT INTO log VALUES (1)',
    );
    await expect(asSuperuser(`UPDATE log SET line = 'x'`)).rejects.toMatchObject({ code: '55000' });
    await session({ connectionString: url(), replication: 'database' } as ClientConfig);
    await (await session(url())).query('BEGIN; CREATE TABLE unfinished (id int)');
    await asSuperuser(`BEGIN; CREATE TABLE prepared (id int); PREPARE TRANSACTION 'it''s left'`);
    await sleep(5_100);

    const before = await diagnose();
    const found = before.findings.filter(({ level }) => level !== 'ok');
    expect(found.map(({ check, level, what }) => `${level} ${check}: ${what}`)).toEqual([
      'error free-slots: None of 1 replication slot is free (max_replication_slots)',
      'error free-senders: None of 1 WAL sender is free (max_wal_senders)',
      'warning keep-size: max_slot_wal_keep_size sets no limit',
      ...(hasIdleTimeout ? ['warning idle-timeout: idle_replication_slot_timeout is 1h'] : []),
      expect.stringContaining('warning stale-slot: Nobody reads the slot "forgotten"'),
      expect.stringContaining('error open-transaction: A transaction that writes has been open for '),
      expect.stringContaining(`error prepared-transaction: The transaction 'it''s left' has been prepared for `),
      'error replica-identity: Published without a primary key or other replica identity: public.log, public.parts_1',
      'warning replica-identity: Without a primary key or other replica identity: public.loose',
    ]);
    expect(before).toMatchObject({ code: 1, errors: 5 });

    const needsRestart = new Set(['free-slots', 'free-senders']);
    await follow(found.filter(({ check }) => !needsRestart.has(check)));
    // A slot has been dropped, so that one is free by now.
    expect((await diagnose()).findings.filter(({ level }) => level !== 'ok')).toMatchObject([
      { check: 'free-senders' },
    ]);
    await follow(found.filter(({ check }) => needsRestart.has(check)));
    expect(await diagnose()).toMatchObject({ code: 0, errors: 0, warnings: 0 });
    await asSuperuser(`UPDATE log SET line = 'x'`);
  });

  it('finds a slot that the server has given up, and whose it was', async () => {
    await asSuperuser(
      'ALTER SYSTEM RESET ALL',
      `ALTER SYSTEM SET wal_level = 'logical'`,
      `ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'`,
      'SELECT pg_reload_conf()',
      `SELECT pg_create_logical_replication_slot('lagging', 'pgoutput')`,
      'CREATE SCHEMA nestjs_pg_listener',
      'CREATE TABLE nestjs_pg_listener.slots (slot_name text PRIMARY KEY, service text, app text, recorded_at timestamptz)',
      `INSERT INTO nestjs_pg_listener.slots VALUES ('lagging', 'shop-api', 'default', now())`,
    );
    for (let times = 0; times < 4; times++) {
      await asSuperuser('CREATE TABLE filler (id int)', 'DROP TABLE filler', 'SELECT pg_switch_wal()');
    }
    await asSuperuser('CHECKPOINT');
    const lost = faultsOf(await diagnose(), ['lost-slot']);
    expect(lost).toMatchObject([{ level: 'warning', what: expect.stringMatching(/"lagging" \(.*service "shop-api"/) }]);
    await follow(lost);
    expect(faultsOf(await diagnose(), ['lost-slot'])).toEqual([]);
  });

  it('finds a synchronous standby that a listener would be taken for', async () => {
    await asSuperuser(
      `ALTER SYSTEM SET synchronous_standby_names = 'FIRST 1 (standby_1, "nestjs-pg-listener:default")'`,
      'SELECT pg_reload_conf()',
    );
    cleanUp.push(() =>
      withClient(`${url()}?options=-c%20synchronous_commit%3Dlocal`, async (client) => {
        await client.query('ALTER SYSTEM RESET synchronous_standby_names');
        await client.query('SELECT pg_reload_conf()');
        await waitFor(
          async () => (await client.query('SHOW synchronous_standby_names')).rows[0].synchronous_standby_names === '',
        );
      }),
    );
    const levels = async (address: string): Promise<string[]> => {
      const { stdout } = await runCommand(['doctor', address, '--json']);
      const { findings } = JSON.parse(stdout) as Diagnosis;
      return findings.filter(({ check }) => check === 'synchronous-standby').map(({ level }) => level);
    };
    await waitFor(async () => (await levels(url()))[0] === 'error', 'the finding');
    expect(await levels(`${url()}?application_name=listener`)).toEqual(['ok']);
  });

  it('says what is to be typed next with what was given', async () => {
    await asSuperuser('CREATE TABLE orders (id int PRIMARY KEY)', 'CREATE TABLE "My log" (id int PRIMARY KEY)');
    const words = [
      '--table',
      'orders',
      '--table',
      '"My log"',
      '--slot',
      'shop',
      '--with',
      'streaming',
      '--with',
      'rich',
    ];
    const sound = await runCommand(['doctor', url(), ...words]);
    const tables = `--table orders --table '"My log"'`;
    expect(sound.stdout).toContain(`  npx nestjs-pg-listener tail '${url()}' ${tables}\n`);
    const faulty = await runCommand(['doctor', url(), ...words, '--table', 'ordres']);
    expect(faulty.stdout).toContain(
      `  npx nestjs-pg-listener doctor '${url()}' --slot shop ${tables} --table ordres --with streaming --with rich\n`,
    );
    expect(faulty.code).toBe(1);
    const tail = await runCommand(['tail', url(), '--table', 'ordres']);
    expect(tail.stderr).toContain(`: npx nestjs-pg-listener doctor '${url()}' --table ordres\n`);
  });

  it('finds what keeps a listener from the tables that are named', async () => {
    await asSuperuser(
      'CREATE ROLE app LOGIN REPLICATION',
      `GRANT CREATE ON DATABASE ${db.name} TO app`,
      'CREATE TABLE mine (id int PRIMARY KEY); ALTER TABLE mine OWNER TO app',
      'CREATE TABLE other (id int PRIMARY KEY); CREATE VIEW seen AS SELECT * FROM other',
    );
    const look = async (...tables: string[]): Promise<string[]> => {
      const words = tables.flatMap((name) => ['--table', name]);
      const { findings } = await diagnose('app', ...words);
      return findings
        .filter(({ check }) => ['ownership', 'listened-tables'].includes(check))
        .map(({ level, what }) => `${level} ${what}`);
    };
    expect(await look()).toEqual([expect.stringMatching(/^warning .* public\.other$/)]);
    expect(await look('mine')).toEqual(['ok public.mine can be listened to by "app"']);
    expect(await look('mine', 'other')).toEqual([expect.stringMatching(/^error .* public\.other$/)]);
    expect(await look('mine', 'ordres', 'seen')).toEqual([
      'error there is no table public.ordres (--table)',
      'error public.seen is a view, which has no changes to publish (--table)',
      'ok public.mine can be listened to by "app"',
    ]);
    expect(await look('sales.*')).toEqual([expect.stringContaining('warning No table matches')]);
    await asSuperuser('CREATE PUBLICATION shop FOR TABLE other');
    expect(await look('mine', 'other')).toEqual([
      'ok All 2 tables can be listened to by "app", through what others publish, of public.other: `publications` of the ' +
        'module has to name it (shop)',
    ]);
  });

  it('does not take for an error what keeps only a new slot from being made, where there is one', async () => {
    await asSuperuser(`ALTER SYSTEM SET wal_level = 'logical'`, 'ALTER SYSTEM SET max_replication_slots = 1');
    await restart();
    await asSuperuser(`SELECT pg_create_logical_replication_slot('shop', 'pgoutput')`);
    cleanUp.push(async () => {
      await asSuperuser('ALTER SYSTEM RESET max_replication_slots');
      await restart();
    });
    await (await session(url())).query('BEGIN; CREATE TABLE unfinished (id int)');
    await sleep(5_100);
    const levels = async (...words: string[]): Promise<string[]> =>
      faultsOf(await diagnose(undefined, ...words), ['free-slots', 'open-transaction']).map(({ level }) => level);
    expect(await levels()).toEqual(['error', 'error']);
    expect(await levels('--slot', 'other')).toEqual(['error', 'error']);
    expect(await levels('--slot', 'shop')).toEqual(['warning', 'warning']);
  });

  it('finds what handlers ask of columns and do not get, and what it prints makes it go away', async () => {
    await asSuperuser(
      `CREATE TABLE "Or;ders" (id int PRIMARY KEY, status text, twice int GENERATED ALWAYS AS (id * 2) STORED)`,
      'CREATE TABLE parts (id int PRIMARY KEY, status text) PARTITION BY LIST (id)',
      'CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1)',
      'CREATE PUBLICATION shop FOR TABLE parts WITH (publish_via_partition_root = true)',
    );
    const look = async (...words: string[]): Promise<Finding[]> =>
      (await diagnose(undefined, ...words)).findings.filter(({ check }) => check === 'old-values');
    const both = ['--table', '"Or;ders"', '--table', 'parts'];
    expect(await look(...both)).toEqual([]);
    expect(await look(...both, '--old-record', 'id')).toMatchObject([{ level: 'ok' }]);
    const found = await look(...both, '--when-changed', 'status', '--old-record', 'full');
    expect(found.map(({ level, what }) => `${level} ${what}`)).toEqual(
      ['Or;ders', 'parts'].flatMap((name) => [
        expect.stringMatching(`^error public\\.${name} .*\`whenChanged\` needs .* FULL only$`),
        expect.stringMatching(`^error public\\.${name} .*\`oldRecord\` asks for more$`),
      ]),
    );
    const given = await look('--publication', 'shop', '--table', 'parts', '--when-changed', 'status');
    expect(given).toMatchObject([
      { level: 'error', mend: [{ sql: expect.stringContaining('public.parts_1'), by: 'owner' }] },
    ]);
    await follow(found);
    expect(await look(...both, '--when-changed', 'status', '--old-record', 'full')).toMatchObject([{ level: 'ok' }]);
    expect(await look(...both, '--when-changed', 'Status')).toMatchObject([
      { what: expect.stringContaining('did you mean "status"?') },
      { what: expect.stringContaining('did you mean "status"?') },
    ]);
  });

  it('makes no UPDATE fail by what it prints for tables with generated columns', async () => {
    const isPublishable = version >= 180_000;
    await asSuperuser(
      'CREATE ROLE app LOGIN REPLICATION',
      'CREATE TABLE keyless (n int, twice int GENERATED ALWAYS AS (n * 2) STORED)',
      'CREATE TABLE loose (n int, twice int GENERATED ALWAYS AS (n * 2) STORED)',
      'CREATE PUBLICATION shop FOR TABLE keyless',
      'INSERT INTO keyless VALUES (1); INSERT INTO loose VALUES (1)',
      ...(isPublishable ? ['CREATE TABLE computed (n int, twice int GENERATED ALWAYS AS (n * 2) VIRTUAL)'] : []),
    );
    const checks = ['replica-identity', 'ownership'];
    const before = faultsOf(await diagnose('app'), checks);
    await follow(before.filter(({ check }) => check === 'replica-identity'));
    await follow(faultsOf(await diagnose('app'), ['ownership']));
    await asSuperuser('UPDATE keyless SET n = 2', 'UPDATE loose SET n = 2');
    const steps = before.flatMap(({ mend }) => mend).map((each) => ('step' in each ? each.step : each.sql));
    if (isPublishable) {
      expect(steps).toContain('ALTER TABLE "public"."computed" REPLICA IDENTITY DEFAULT;');
      await asSuperuser('UPDATE computed SET n = 2');
    }
    expect(faultsOf(await diagnose(), ['replica-identity']).map(({ what }) => what)).toEqual(
      isPublishable ? [expect.stringContaining('public.computed')] : [],
    );
  });

  it('reads the binary format with the parsers of the application', async () => {
    await asSuperuser('CREATE TABLE visits (id int8 PRIMARY KEY, at timestamptz, nights daterange)');
    const folder = mkdtempSync(join(tmpdir(), 'pg-listener-parsers-'));
    cleanUp.push(async () => rmSync(folder, { recursive: true }));
    const look = async (text: string, wishes = 'binary'): Promise<{ level: string; what: string }> => {
      const file = join(folder, 'parsers.mjs');
      writeFileSync(file, text);
      const { findings } = await diagnose(undefined, '--table', 'visits', '--with', wishes, '--parsers', file);
      return findings.find(({ check }) => check === 'binary')!;
    };
    expect(await look('export {};')).toMatchObject({ level: 'ok' });
    expect(await look('export default { int8: BigInt };')).toMatchObject({ level: 'ok' });
    expect(await look('export default { timestamptz: (text) => text.trim() };')).toMatchObject({
      level: 'warning',
      what: expect.stringContaining('public.visits, column "at" of type timestamp with time zone'),
    });
    const pg = pathToFileURL(createRequire(join(packageRoot(), 'package.json')).resolve('pg')).href;
    expect(await look(`import pg from '${pg}'; pg.types.setTypeParser(1184, (text) => text);`)).toMatchObject({
      level: 'warning',
    });
    const wrong = join(folder, 'parsers.mjs');
    writeFileSync(wrong, 'export default { int8: 1 };');
    for (const [file, text] of [
      [wrong, 'none of parsers'],
      [join(folder, 'none.mjs'), 'cannot be loaded'],
    ] as const) {
      const { code, stderr } = await runCommand(['doctor', url(), '--with', 'binary', '--parsers', file]);
      expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining(text) });
    }
  });

  it('looks at what a slot needs that is to outlive its server', async () => {
    const look = async (): Promise<Finding[]> =>
      (await diagnose(undefined, '--with', 'failover')).findings.filter(({ check }) => check === 'failover');
    if (version < 170_000) {
      expect(await look()).toMatchObject([{ level: 'error', what: expect.stringContaining('needs PostgreSQL 17') }]);
      return;
    }
    cleanUp.push(() => asSuperuser('ALTER SYSTEM RESET synchronized_standby_slots', 'SELECT pg_reload_conf()'));
    const first = await look();
    expect(first).toMatchObject([{ level: 'warning', what: expect.stringContaining('there is no physical slot') }]);
    await follow(first);
    const second = await look();
    expect(second).toMatchObject([{ what: expect.stringContaining('synchronized_standby_slots is empty') }]);
    await follow(second);
    await waitFor(async () => (await look())[0]!.what.includes('no standby streams from it'), 'the setting');
  });

  it('holds publications of yours against the tables that are to be listened to', async () => {
    await asSuperuser(
      'CREATE TABLE orders (id int PRIMARY KEY); CREATE TABLE invoices (id int PRIMARY KEY)',
      'CREATE PUBLICATION shop FOR TABLE orders',
    );
    const given = async (...words: string[]): Promise<Finding[]> =>
      (await diagnose(undefined, ...words)).findings.filter(({ check }) => check === 'given-publications');
    expect(await given('--publication', 'shop', '--table', 'orders')).toMatchObject([{ level: 'ok' }]);
    expect(await given('--publication', 'shop', '--table', 'invoices')).toMatchObject([
      { level: 'error', what: expect.stringContaining('ALTER PUBLICATION "shop" ADD TABLE "public"."invoices";') },
    ]);
    expect(await given('--publication', 'no_such', '--table', 'orders')).toMatchObject([
      { level: 'error', mend: [{ step: expect.stringContaining('CREATE PUBLICATION "no_such" FOR TABLE') }] },
    ]);
  });

  it('looks at what options of a listener ask for, and what it prints makes the faults go away', async () => {
    await asSuperuser(
      'ALTER SYSTEM SET max_prepared_transactions = 0',
      'CREATE ROLE app LOGIN REPLICATION',
      'CREATE TABLE orders (id int PRIMARY KEY, note text, total money)',
      'CREATE SCHEMA "My billing"',
      'CREATE TABLE "My billing".invoices (id int PRIMARY KEY, body text)',
    );
    await restart();
    const checks = new Set(['streaming', 'two-phase', 'binary', 'toast', 'origin']);
    const words = ['--with', 'streaming,twoPhase,binary', '--with', 'toast,origin'];
    const look = async (user?: string, ...more: string[]): Promise<Finding[]> =>
      (await diagnose(user, ...words, ...more)).findings.filter(({ check }) => checks.has(check));
    const before = await look('app');
    const needs = (least: number, level: string): string => (version < least ? 'error' : level);
    expect(before.map(({ check, level }) => `${check} ${level}`)).toEqual([
      'streaming ok',
      `two-phase ${needs(150_000, 'warning')}`,
      'binary warning',
      'toast warning',
      'origin error',
    ]);
    expect(before[2]!.what).toContain('public.orders, column "total" of type money: ');
    expect(before[3]!.what).toContain('"app" may not read My billing.invoices, public.orders');
    await follow(before);
    const after = (await look('app', '--table', '"My billing".invoices')).map(
      ({ check, level }) => `${check} ${level}`,
    );
    expect(after).toEqual([
      'streaming ok',
      `two-phase ${needs(150_000, 'ok')}`,
      'binary ok',
      'toast ok',
      `origin ${needs(160_000, 'ok')}`,
    ]);
    expect((await diagnose('app')).findings.filter(({ check }) => checks.has(check))).toEqual([]);
    const wrong = await runCommand(['doctor', url(), '--with', 'wings']);
    expect(wrong).toMatchObject({ code: 2, stderr: expect.stringContaining('--with knows no option "wings"') });
  });

  it('looks at the slot that a listener is to have, as its start does', async () => {
    const own = async (name: string, ...words: string[]): Promise<Finding[]> =>
      (await diagnose(undefined, '--slot', name, ...words)).findings.filter(({ check }) => check === 'own-slot');
    expect(await own('shop')).toMatchObject([{ level: 'ok', what: expect.stringContaining('no slot "shop" yet') }]);
    await asSuperuser(
      `SELECT pg_create_logical_replication_slot('shop', 'pgoutput')`,
      `SELECT pg_create_physical_replication_slot('standby')`,
    );
    expect(await own('shop')).toMatchObject([{ level: 'ok', what: 'The slot "shop" is there, and free' }]);
    expect(await own('standby')).toMatchObject([{ level: 'error', what: expect.stringContaining('a physical one') }]);
    expect(await own('shop', '--with', 'twoPhase')).toMatchObject([
      { level: 'error', what: expect.stringContaining('was made without it') },
    ]);
    const reader = await session({ connectionString: url(), replication: 'database' } as ClientConfig);
    await asSuperuser('CREATE PUBLICATION everything FOR ALL TABLES');
    const stream = reader
      .query(`START_REPLICATION SLOT shop LOGICAL 0/0 (proto_version '1', publication_names 'everything')`)
      .catch(() => undefined);
    await waitFor(async () => (await own('shop'))[0]!.level === 'warning', 'the slot to be read');
    expect(await own('shop')).toMatchObject([{ what: expect.stringContaining('is being read by pid') }]);
    (reader as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
    await stream;
  });

  it('says when the server gives a slot up', async () => {
    const hasIdleTimeout = version >= 180_000;
    await asSuperuser(
      `ALTER SYSTEM SET max_slot_wal_keep_size = '1GB'`,
      ...(hasIdleTimeout ? [`ALTER SYSTEM SET idle_replication_slot_timeout = '20s'`] : []),
      'SELECT pg_reload_conf()',
      `SELECT pg_create_logical_replication_slot('waiting', 'pgoutput')`,
    );
    cleanUp.push(() => asSuperuser('ALTER SYSTEM RESET idle_replication_slot_timeout').catch(() => undefined));
    const left = async (): Promise<number | null> => {
      const { stdout } = await runCommand(['slots', url(), '--json']);
      return (JSON.parse(stdout) as { givenUpInSeconds: number | null }[])[0]!.givenUpInSeconds;
    };
    // Statistics of half a minute.
    await waitFor(async () => (await left()) !== null, 'an estimate', 40_000);
    expect(await left()).toBeGreaterThan(hasIdleTimeout ? 0 : 60);
    if (hasIdleTimeout) expect(await left()).toBeLessThan(20);
    const [stale] = faultsOf(await diagnose(), ['stale-slot']);
    expect(stale!.what).toMatch(/; the server gives it up in about \d+ (s|min|h|d), as things go$/);
    const { stdout } = await runCommand(['slots', url()]);
    expect(stdout).toMatch(/GIVEN UP IN[^]* reserved +\d+ (s|min|h|d) /);
  }, 60_000);

  const pooler = findPgBouncer();
  const isMissing = 'missing' in pooler;
  (isMissing ? it.skip : it)(`finds a pooler${isMissing ? ` (not tried: ${pooler.missing})` : ''}`, async () => {
    expect((await diagnose()).findings.filter(({ check }) => check === 'pooler')).toEqual([]);
    if ('missing' in pooler) return;
    const running = await startPgBouncer(pooler.program, server.port, await freePort());
    cleanUp.push(() => running.stop());
    const address = new URL(url());
    address.port = String(running.port);
    const { code, stdout } = await runCommand(['doctor', address.toString(), '--json']);
    const { findings } = JSON.parse(stdout) as Diagnosis;
    expect(findings.filter(({ check }) => ['pooler', 'replication-protocol'].includes(check))).toMatchObject([
      { level: 'error', what: expect.stringContaining('A connection pooler seems to stand before') },
      { level: 'warning', what: expect.stringContaining('pooler') },
    ]);
    expect(code).toBe(1);
  });

  it('says what keeps it from connecting, and shows no password', async () => {
    const closed = await runCommand([
      'doctor',
      `postgresql://app:hunter2@127.0.0.1:${await freePort()}/shop`,
      '--json',
    ]);
    expect(JSON.parse(closed.stdout)).toMatchObject({
      errors: 1,
      findings: [{ check: 'connection', level: 'error', what: expect.stringContaining('ECONNREFUSED') }],
    });
    const address = new URL(url());
    address.password = 'hunter2';
    const open = await runCommand(['doctor', address.toString()]);
    const named = address.toString().replace('hunter2', 'PASSWORD');
    expect(open.stdout).toContain(
      `(with your password in place of PASSWORD):\n\n  npx nestjs-pg-listener tail '${named}'`,
    );
    expect(closed.output + open.output).not.toContain('hunter2');
  });

  it('changes nothing', async () => {
    await asSuperuser('CREATE TABLE orders (id int PRIMARY KEY)');
    const look = (): Promise<unknown[]> =>
      db.query(
        `SELECT (SELECT count(*) FROM pg_class)::int AS tables, (SELECT count(*) FROM pg_publication)::int AS publications,
                (SELECT count(*) FROM pg_replication_slots)::int AS slots, txid_current_if_assigned() AS xid`,
      );
    const before = await look();
    await diagnose();
    expect(await look()).toEqual(before);
  });
});
