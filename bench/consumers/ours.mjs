import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { OnTableChange, PgListener, PgListenerModule } from '../../dist/index.js';
import { pgOptions } from '../support/client-options.mjs';

const synchronous = (tally) => (change) => tally.row(change.record ?? change.oldRecord);
const asynchronous = (tally) => async (change) => tally.row(change.record ?? change.oldRecord);

/** A Nest application with one decorated method, as the README has it; the observable instead, where that is measured. */
export async function consume({ target, slot, publication, consumer }, tally) {
  const { mode } = consumer;
  class OrdersHandler {}
  if (mode !== 'observable') {
    OrdersHandler.prototype.onChange = mode === 'sync' ? synchronous(tally) : asynchronous(tally);
    const options = mode === 'lanes' ? { concurrency: 8 } : {};
    const descriptor = Object.getOwnPropertyDescriptor(OrdersHandler.prototype, 'onChange');
    OnTableChange('orders', ['insert', 'update', 'delete'], options)(OrdersHandler.prototype, 'onChange', descriptor);
  }
  class BenchModule {}
  const isWatching = mode === 'observable';
  Module({
    imports: [
      PgListenerModule.forRoot({
        connection: pgOptions(target),
        slot,
        publications: [publication],
        service: 'bench',
        autoStart: !isWatching,
        ...(isWatching && { subscriptions: ['orders'] }),
      }),
    ],
    providers: isWatching ? [] : [OrdersHandler],
  })(BenchModule);
  const app = await NestFactory.createApplicationContext(BenchModule, {
    logger: ['error', 'warn'],
    abortOnError: false,
  });
  if (isWatching) {
    const listener = app.get(PgListener);
    listener.changes('orders').subscribe((change) => tally.row(change.record ?? change.oldRecord));
    await listener.start();
  }
  return { stop: () => app.close() };
}
