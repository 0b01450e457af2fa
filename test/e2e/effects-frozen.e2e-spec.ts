import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { startScript, type ChildApplication } from '../support/child.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { waitFor } from '../support/wait.js';

const HOLD_AT = 3;
/** Longer than a take-over takes: the clock of a frozen process goes on. */
const HOLD_MS = 1_000;

describe('a process that is frozen in a transactional handler', () => {
  let db: TestDatabase;
  const children: ChildApplication[] = [];

  beforeEach(async () => {
    db = await createDatabase();
    await db.query(`ALTER DATABASE ${db.name} SET wal_sender_timeout = '3s'`);
    await db.query('CREATE TABLE orders (id int PRIMARY KEY); CREATE TABLE booked (seq bigserial, id int, note text)');
  });
  afterEach(async () => {
    for (const child of children) child.process.kill('SIGCONT');
    await Promise.all(children.splice(0).map((child) => child.kill()));
    await db.drop();
  });

  function start(holdAt: number): ChildApplication {
    const child = startScript('effects-child', [db.url, db.slot(), String(holdAt), String(HOLD_MS)]);
    children.push(child);
    return child;
  }

  const says = (child: ChildApplication, key: string, value: unknown): Promise<unknown> =>
    waitFor(
      () => child.messages.some((message) => message[key] === value),
      () => `${key} ${String(value)}: ${JSON.stringify(child.messages)} ${child.output()}`,
      30_000,
    );

  it('does not hold its successor up, and its late write is fenced off', async () => {
    const frozen = start(HOLD_AT);
    await says(frozen, 'state', 'streaming');
    const successor = start(0);
    await says(successor, 'state', 'standby');
    await db.query('INSERT INTO orders SELECT generate_series(1, 5)');
    await says(frozen, 'written', HOLD_AT);
    frozen.process.kill('SIGSTOP');
    // It sleeps with its claim and its row uncommitted: the next one has to get past both.
    await says(successor, 'state', 'streaming');
    await says(successor, 'written', 5);
    const before = await db.query('SELECT id, note FROM booked ORDER BY seq');
    frozen.process.kill('SIGCONT');
    await says(frozen, 'returning', HOLD_AT);
    await says(frozen, 'state', 'standby');
    await db.query('INSERT INTO orders VALUES (6)');
    const rows = (): Promise<{ id: number; note: string }[]> =>
      db.query('SELECT id, note FROM booked ORDER BY id, seq');
    const after = await waitFor(async () => {
      const found = await rows();
      return found.some(({ id }) => id === 6) ? found : null;
    }, 'the last one');
    expect(after.map(({ id }) => id)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(after.find(({ id }) => id === HOLD_AT)!.note).toBe(String(successor.process.pid));
    expect(before.filter(({ id }) => id === HOLD_AT)).toEqual([{ id: HOLD_AT, note: String(successor.process.pid) }]);
    // Nobody has taken its failure for one of the handler's: its policy is to halt.
    expect(frozen.messages.some(({ state }) => state === 'halted')).toBe(false);
  }, 60_000);
});
