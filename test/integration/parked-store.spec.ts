import { afterAll, beforeAll, describe } from '@jest/globals';
import { MemoryParkedStore } from '#lib/testing/memory-parked.store.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { parkedStoreContract, type ContractSamples } from '../support/parked/contract.js';
import { openStore } from '../support/parked/open-store.js';
import { WireSource } from '../support/parked/wire-source.js';

describe('what is parked', () => {
  let db: TestDatabase;
  let samples: ContractSamples;

  beforeAll(async () => {
    db = await createDatabase();
    await db.query(`CREATE TABLE orders (id int PRIMARY KEY, name text);
      CREATE SCHEMA shop; CREATE TABLE shop.items (id int PRIMARY KEY, name text);`);
    const source = await WireSource.open(db);
    samples = {
      orders: await source.changesOf(`INSERT INTO orders SELECT g, 'Nr. ' || g FROM generate_series(1, 8) g`),
      items: await source.changesOf(`INSERT INTO shop.items VALUES (1, 'Ä'), (2, '🐘')`),
      messages: await source.changesOf(
        `SELECT pg_logical_emit_message(false, 'outbox', '\\x00ff80'::bytea)`,
        `SELECT pg_logical_emit_message(true, 'öutbox', 'in a transaction')`,
      ),
    };
  });
  afterAll(() => db?.drop());

  describe('in the database', () =>
    parkedStoreContract(
      () => openStore(db.url),
      () => samples,
    ));
  describe('in memory, for tests', () =>
    parkedStoreContract(
      () => new MemoryParkedStore(),
      () => samples,
    ));
});
