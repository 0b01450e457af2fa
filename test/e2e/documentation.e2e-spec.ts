import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { recorderOf, TestApplications } from '../support/application.js';
import { runCommand, RunningCommands } from '../support/command-line.js';
import { withClient } from '../support/database.js';
import { BLOCKS } from '../support/documentation.js';
import { commandsOf } from '../support/shell-words.js';
import { startPostgres, type PostgresServer } from '../support/versioned-postgres.js';
import { waitFor } from '../support/wait.js';

const blocksOf = (page: string, language: string): string[] =>
  BLOCKS.filter((block) => block.page === page && block.language === language).map(({ code }) => code);

/** The guides' SQL and their commands, done in their order by a reader with a stock server. */
describe('a reader who does what the guides say', () => {
  let server: PostgresServer;
  let version = 0;
  const apps = new TestApplications();
  const commands = new RunningCommands();
  const done = new Set<string>();

  /** One by one, as psql does it. */
  const run = (sql: string, database = 'shop'): Promise<void> =>
    withClient(server.urlOf(database), async (client) => {
      done.add(sql);
      for (const statement of sql
        .replaceAll(/--.*$/gm, '')
        .split(';')
        .filter((each) => each.trim() !== '')) {
        await client.query(statement);
      }
    });
  const rows = (sql: string): Promise<any[]> =>
    withClient(server.urlOf('shop'), async (client) => (await client.query(sql)).rows);
  const words = (start: string): string[] => {
    const found = blocksOf('docs/command-line.md', 'sh')
      .flatMap(commandsOf)
      .find((each) => each.join(' ').startsWith(`npx nestjs-pg-listener ${start}`));
    return found!
      .slice(2)
      .map((word) => (/^(postgresql:|\$DATABASE_URL$)/.test(word) ? server.urlOf('shop', 'shop') : word));
  };
  const [logical, role, publication] = blocksOf('docs/getting-started.md', 'sql') as [string, string, string];
  const retired = blocksOf('docs/getting-started.md', 'sql').at(-1)!;
  const [origins] = blocksOf('docs/exactly-once.md', 'sql') as [string];

  beforeAll(async () => {
    server = await startPostgres({ settings: { wal_level: null } });
    await run('CREATE DATABASE shop', 'postgres');
    await run('CREATE TABLE orders (id int PRIMARY KEY, status text, total numeric)');
    [{ version }] = await rows(`SELECT current_setting('server_version_num')::int / 10000 AS version`);
  }, 60_000);
  afterEach(async () => {
    await commands.close();
    await apps.close();
  });
  afterAll(() => server?.stop('immediate'));

  async function hears(slot: string, options: object = {}): Promise<void> {
    const recorder = recorderOf('orders');
    const app = await apps.start({ connection: server.urlOf('shop', 'shop'), slot, ...options }, [recorder]);
    await run(`INSERT INTO orders SELECT coalesce(max(id), 0) + 1, 'new', 12.50 FROM orders`);
    await waitFor(
      () => recorder.changes.length > 0,
      () => app.logs.lines.join('\n'),
    );
    await apps.close();
  }

  it('is told what the page on the command line shows, turns logical decoding on, and makes a role', async () => {
    const before = await runCommand(['doctor', server.urlOf('shop')]);
    expect(before.code).toBe(1);
    const [shown] = blocksOf('docs/command-line.md', 'text') as [string];
    const plain = (text: string): string => text.replaceAll(/\s+/g, ' ').trim();
    // The step that restarts a server knows where its data are.
    const whole = plain(
      before.output.replaceAll(/pg_ctl restart -D \S+/g, 'pg_ctl restart -D DATA_DIRECTORY;').replaceAll(';;', ';'),
    );
    expect(whole).toContain(plain(shown).replace(/ Mend: restart the server.*/, ''));
    await run(logical);
    await server.pause();
    await server.start();
    await run(role);
  });

  it('has an application that hears, by its own publications, by a given one, and with origins', async () => {
    await hears('shop');
    const names = async (): Promise<string[]> =>
      (await rows('SELECT pubname FROM pg_publication ORDER BY 1')).map(({ pubname }) => pubname);
    expect(await names()).toEqual(['pg_listener_shop', 'pg_listener_shop_append']);
    await run(publication);
    await hears('given', { publications: ['shop_changes'] });
    await run(origins);
    if (version >= 16) await hears('origins', { publications: ['shop_changes'], origin: 'none' });
  });

  it('gets from the commands what is promised', async () => {
    const slotsOf = async () =>
      (await rows('SELECT slot_name FROM pg_replication_slots')).map((each) => each.slot_name);
    expect((await runCommand(words('doctor'))).output).toContain('wal_level');
    const { stdout } = await runCommand(words('slots'));
    expect(stdout).toContain('shop');
    const types = await runCommand(words('types').filter((_, index, all) => index < all.indexOf('--out')));
    expect(types).toMatchObject({ code: 0, stdout: expect.stringContaining('orders: {') });

    await run('CREATE SCHEMA billing; CREATE TABLE billing.invoices (id int PRIMARY KEY)');
    await run('ALTER SCHEMA billing OWNER TO shop; ALTER TABLE billing.invoices OWNER TO shop');
    await run(`ALTER TABLE orders REPLICA IDENTITY FULL; TRUNCATE orders; INSERT INTO orders VALUES (1, 'new', 12.50)`);
    const tail = commands.start([...words('tail'), '--limit', '1']);
    await tail.saysOnStderr('Watching');
    await run(`DELETE FROM orders WHERE id = 2; UPDATE orders SET status = 'shipped' WHERE id = 1`);
    const seen = await tail.end();
    const [, shown] = blocksOf('docs/command-line.md', 'text') as [string, string];
    const ofAnyTime = (text: string): string => text.replace(/\S+Z\s+\S+/, 'when where').trimEnd();
    expect(ofAnyTime(seen.stdout)).toBe(ofAnyTime(shown));

    expect(await slotsOf()).toContain('shop');
    const dropping = await runCommand([...words('drop-slot'), '--yes']); // nobody is there to be asked
    expect([dropping.code, await slotsOf()]).toEqual([0, expect.not.arrayContaining(['shop'])]);
  });

  it('retires the service, and nothing of it is left', async () => {
    await hears('shop', { onGap: 'continue' });
    await run(retired);
    for (const table of ['pg_replication_slots', 'nestjs_pg_listener.slots']) {
      expect(await rows(`SELECT FROM ${table} WHERE slot_name = 'shop'`)).toEqual([]);
    }
    expect(await rows(`SELECT FROM pg_publication WHERE pubname LIKE 'pg_listener%'`)).toEqual([]);
  });

  it('has done every statement of the guides', () => {
    // The samples' own, each is run by the test of its sample.
    const guides = BLOCKS.filter(({ page, language }) => language === 'sql' && !page.startsWith('sample/'));
    expect(guides.filter(({ code }) => !done.has(code))).toEqual([]);
  });
});
