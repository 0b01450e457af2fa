import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import pg from 'pg';
import { OnTableChange, PgListenerModule } from '../../dist/index.js';
import { pgOptions } from '../support/client-options.mjs';

const LANES = 8;
const KINDS = {
  single: { options: {}, handle: (book) => (change, context) => book([change], context) },
  lanes: { options: { concurrency: LANES }, handle: (book) => (change, context) => book([change], context) },
  batched: { options: { batch: { size: 500 } }, handle: (book) => (changes, context) => book(changes, context) },
};

/** A handler that writes a row for each change: in the transaction that claims it, or with a pool of its own. */
export async function consume({ target, slot, publication, consumer }, tally) {
  const { kind, transactional } = consumer;
  const { options, handle } = KINDS[kind];
  const connection = pgOptions(target);
  // Waits for each commit, as `transactional` does.
  const pool = new pg.Pool({ ...connection, max: LANES, options: '-c synchronous_commit=on' });
  async function book(changes, context) {
    const client = transactional ? context.client : pool;
    await client.query('INSERT INTO booked SELECT unnest($1::int[])', [changes.map(({ record }) => record.id)]);
    for (const { record } of changes) tally.row(record);
  }
  class OrdersHandler {}
  OrdersHandler.prototype.onInsert = handle(book);
  const descriptor = Object.getOwnPropertyDescriptor(OrdersHandler.prototype, 'onInsert');
  // What is claimed goes by the handler's id: each run has one of its own, or it would find everything done.
  const all = { id: slot, transactional, ...options };
  OnTableChange('orders', 'insert', all)(OrdersHandler.prototype, 'onInsert', descriptor);
  class BenchModule {}
  Module({
    imports: [PgListenerModule.forRoot({ connection, slot, publications: [publication], service: 'bench' })],
    providers: [OrdersHandler],
  })(BenchModule);
  const app = await NestFactory.createApplicationContext(BenchModule, {
    logger: ['error', 'warn'],
    abortOnError: false,
  });
  return {
    stop: async () => {
      await app.close();
      await pool.end();
    },
  };
}
