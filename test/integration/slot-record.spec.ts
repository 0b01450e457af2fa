import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type pg from 'pg';
import { SlotRecord, type TakeOver } from '#lib/slots/slot-record.js';
import { ensureOwnTables } from '#lib/store/own-tables.js';
import { connect, createDatabase, type TestDatabase } from '../support/database.js';

const MINE: TakeOver = {
  owner: { service: 'shop', app: 'default' },
  identity: { systemIdentifier: '4711', timeline: '1', walEnd: 0x9000n },
  handlers: { 'Orders.onChange': '0/1000' },
  slotLsn: 0x1000n,
  rebase: 'hold',
};

describe('the record of a slot', () => {
  let db: TestDatabase;
  let client: pg.Client;
  let other: pg.Client;
  const record = new SlotRecord('shop');

  beforeAll(async () => {
    db = await createDatabase();
    await db.query(`ALTER DATABASE ${db.name} SET synchronous_commit = 'off'`);
    [client, other] = [await connect(db.url), await connect(db.url)];
    await ensureOwnTables(client);
  });
  beforeEach(() => db.query('TRUNCATE nestjs_pg_listener.slots'));
  afterAll(async () => {
    await client?.end();
    await other?.end();
    await db?.drop();
  });

  it('is written by the process that took over last, and by no earlier one', async () => {
    const first = await record.takeOver(client, MINE);
    expect(await record.write(client, first!.epoch, 0x2000n)).toBe(true);
    const second = await record.takeOver(other, MINE);
    expect(second).toEqual({ epoch: first!.epoch + 1n, recorded: 0x2000n });
    expect(await record.write(client, first!.epoch, 0x3000n)).toBe(false);
    expect(await record.read(client)).toMatchObject({ position: 0x2000n });
    expect(await record.write(other, second!.epoch, 0x2800n)).toBe(true);
  });

  it('is not taken over by another owner, whatever that one had read before', async () => {
    await record.takeOver(client, MINE);
    for (const owner of [
      { service: 'billing', app: 'default' },
      { service: 'shop', app: 'other' },
    ]) {
      expect(await record.takeOver(other, { ...MINE, owner, rebase: 'replace', slotLsn: 0x5000n })).toBeNull();
    }
    expect(await record.read(client)).toMatchObject({ ...MINE.owner, position: 0x1000n });
    // A service that is not known is nobody else's, and is not forgotten by one that knows none.
    expect(await record.takeOver(other, { ...MINE, owner: { service: null, app: 'default' } })).not.toBeNull();
    expect(await record.read(client)).toMatchObject(MINE.owner);
  });

  it.each([
    ['hold', 0x5000n, 0x1000n],
    ['raise', 0x5000n, 0x5000n],
    ['raise', 0x800n, 0x1000n],
    ['replace', 0x800n, 0x800n],
  ] as const)('%ss its position where a slot stands at %d', async (rebase, slotLsn, position) => {
    await record.takeOver(client, MINE);
    expect(await record.takeOver(other, { ...MINE, rebase, slotLsn })).toMatchObject({ recorded: position });
  });

  it('outlives a crash of the server, also where that commits asynchronously', async () => {
    const setting = async (): Promise<unknown> => (await client.query('SHOW synchronous_commit')).rows;
    for (const write of [() => record.takeOver(client, MINE), () => record.announce(client, 0x2000n)]) {
      await client.query('RESET synchronous_commit');
      expect(await setting()).toEqual([{ synchronous_commit: 'off' }]);
      await write();
      expect(await setting()).toEqual([{ synchronous_commit: 'local' }]);
    }
  });
});
