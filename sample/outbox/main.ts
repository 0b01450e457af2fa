import 'reflect-metadata';
import { once } from 'node:events';
import type { INestApplication } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { PgListener } from 'nestjs-pg-listener';
import type { PostgresServer } from 'nestjs-pg-listener/testing';
import { APPLICATION_OPTIONS } from '../boot/application-options.js';
import { run } from '../boot/run.js';
import { AppModule } from './app.module.js';
import { startBroker } from './broker/start-broker.js';
import { Database, provideServer } from './database.js';

run('Outbox', async (interrupted) => {
  let server: PostgresServer | undefined;
  let broker: INestApplication | undefined;
  let app: INestApplication | undefined;
  try {
    server = await provideServer();
    interrupted.throwIfAborted();
    if (!process.env.BROKER_URL) broker = await startBroker();
    const brokerUrl = broker === undefined ? process.env.BROKER_URL! : await broker.getUrl();
    const database = new Database(server?.url ?? process.env.DATABASE_URL!);
    app = await createApp(database, brokerUrl);
    const listener = app.get(PgListener);
    // Boot waits until the stream runs. Whoever does not want to wait for that stops the listener.
    interrupted.addEventListener('abort', () => void listener.stop());
    // Whoever reaches it can order: it is for this machine.
    await app.listen(process.env.PORT || 3003, '127.0.0.1');
    app.flushLogs();
    console.log(welcome(await app.getUrl(), brokerUrl, database));
    if (!interrupted.aborted) await once(interrupted, 'abort');
  } finally {
    // The event in hand still reaches the broker, the listener confirms it, and only then may the others go.
    await app?.close();
    await broker?.close();
    await server?.stop();
  }
});

function createApp(database: Database, brokerUrl: string): Promise<INestApplication> {
  return NestFactory.create(AppModule.register(database, brokerUrl), APPLICATION_OPTIONS);
}

function welcome(url: string, broker: string, { psql }: Database): string {
  return [
    '',
    `  Order two books  curl -X POST ${url}/orders/book/2`,
    `  Ship order 1     curl -X POST ${url}/shipments/1`,
    `  More than there  curl -X POST ${url}/orders/lamp/9`,
    `  What was sent    curl ${broker}/deliveries`,
    `  Broker down      curl -X POST ${broker}/mood/down`,
    `  Broker picky     curl -X POST ${broker}/mood/picky`,
    `  Broker fine      curl -X POST ${broker}/mood/fine`,
    `  Parked events    curl ${url}/parked`,
    `  Try them again   curl -X POST ${url}/parked/retry`,
    `  Health           ${url}/health`,
    `  Database         ${psql}`,
    '  Stop             Ctrl-C',
    '',
  ].join('\n');
}
