import 'reflect-metadata';
import { once } from 'node:events';
import type { INestApplication } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { PgListenerRegistry } from 'nestjs-pg-listener';
import type { PostgresServer } from 'nestjs-pg-listener/testing';
import { APPLICATION_OPTIONS } from '../boot/application-options.js';
import { run } from '../boot/run.js';
import { AppModule } from './app.module.js';
import { BillingDatabase } from './billing/billing.database.js';
import { provideDatabases } from './embedded-databases.js';
import { ShopDatabase } from './shop/shop.database.js';

run('Named apps', async (interrupted) => {
  let server: PostgresServer | undefined;
  let app: INestApplication | undefined;
  try {
    server = await provideDatabases();
    interrupted.throwIfAborted();
    app = await createApp();
    const listeners = app.get(PgListenerRegistry);
    // Boot waits until both streams run. Whoever does not want to wait for that stops the listeners.
    interrupted.addEventListener('abort', () => {
      for (const name of listeners.names()) void listeners.get(name).stop();
    });
    // Whoever reaches it can change rows: it is for this machine.
    await app.listen(process.env.PORT || 3001, '127.0.0.1');
    app.flushLogs();
    console.log(welcome(await app.getUrl(), app.get(ShopDatabase), app.get(BillingDatabase)));
    if (!interrupted.aborted) await once(interrupted, 'abort');
  } finally {
    // The listeners confirm what their handlers have done, then the pools close, and only then may the server go.
    await app?.close();
    await server?.stop();
  }
});

function createApp(): Promise<INestApplication> {
  return NestFactory.create(AppModule, APPLICATION_OPTIONS);
}

function welcome(url: string, shop: ShopDatabase, billing: BillingDatabase): string {
  return [
    '',
    `  Pay an order     ${shop.psql} -c "UPDATE orders SET status = 'paid' WHERE id = 1"`,
    `  See its invoice  ${billing.psql} -c "SELECT * FROM invoices"`,
    `  Without psql     curl -X POST ${url}/orders/2/pay`,
    `  Orders           ${url}/orders`,
    `  Changes          ${url}/changes`,
    `  Health           ${url}/health`,
    '  Stop             Ctrl-C',
    '',
  ].join('\n');
}
