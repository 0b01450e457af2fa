import 'reflect-metadata';
import { once } from 'node:events';
import type { INestApplication } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { PgListener } from 'nestjs-pg-listener';
import type { PostgresServer } from 'nestjs-pg-listener/testing';
import { APPLICATION_OPTIONS } from '../boot/application-options.js';
import { run } from '../boot/run.js';
import { AppModule } from './app.module.js';
import { Database, provideServer } from './database.js';

run('Observability', async (interrupted) => {
  let server: PostgresServer | undefined;
  let app: INestApplication | undefined;
  try {
    server = await provideServer();
    interrupted.throwIfAborted();
    const database = new Database(server?.url ?? process.env.DATABASE_URL!);
    app = await createApp(database);
    const listener = app.get(PgListener);
    // Boot waits until the stream runs. Whoever does not want to wait for that stops the listener.
    interrupted.addEventListener('abort', () => void listener.stop());
    // Whoever reaches it can add rows: it is for this machine.
    await app.listen(process.env.PORT || 3002, '127.0.0.1');
    app.flushLogs();
    console.log(welcome(await app.getUrl(), database));
    if (!interrupted.aborted) await once(interrupted, 'abort');
  } finally {
    // The listener confirms what its handlers have done, and only then may the server go.
    await app?.close();
    await server?.stop();
  }
});

function createApp(database: Database): Promise<INestApplication> {
  return NestFactory.create(AppModule.register(database), APPLICATION_OPTIONS);
}

function welcome(url: string, { psql }: Database): string {
  return [
    '',
    `  Health           ${url}/health`,
    `  Metrics          ${url}/metrics`,
    `  An order         curl -X POST ${url}/orders`,
    `  Out of stock     curl -X POST ${url}/orders/unicorn`,
    `  One for a test   curl -X POST ${url}/orders/test`,
    `  A slow handler   curl -X POST ${url}/warehouse/slow`,
    `  A broken one     curl -X POST ${url}/warehouse/broken`,
    `  All well again   curl -X POST ${url}/warehouse/fine`,
    `  Try parked ones  curl -X POST ${url}/parked/retry`,
    `  Database         ${psql}`,
    '  Stop             Ctrl-C',
    '',
  ].join('\n');
}
