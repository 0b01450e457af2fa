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

run('Projection', async (interrupted) => {
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
    // Whoever reaches it can write rows: it is for this machine.
    await app.listen(process.env.PORT || 3005, '127.0.0.1');
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
    `  Totals           ${url}/totals`,
    `  Right or wrong   ${url}/check`,
    `  A thousand more  curl -X POST ${url}/rush`,
    `  Health           ${url}/health`,
    `  Database         ${psql}`,
    '  Stop             Ctrl-C',
    '',
  ].join('\n');
}
