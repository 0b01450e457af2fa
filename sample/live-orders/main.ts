import 'reflect-metadata';
import { once } from 'node:events';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { PgListener } from 'nestjs-pg-listener';
import { assertFree, portFrom } from '../boot/port.js';
import { APPLICATION_OPTIONS } from '../boot/application-options.js';
import { run } from '../boot/run.js';
import { AppModule } from './app.module.js';
import { Database } from './database.js';
import { publicDirectory } from './public-directory.js';

/** The page can change rows: it is for this machine, unless HOST says otherwise. */
const HOST = process.env.HOST || '127.0.0.1';

run('Live orders', async (interrupted) => {
  const port = portFrom(process.env.PORT);
  // Before anything is started: a server that nobody will see need not come up.
  await assertFree(port);

  let database: Database | undefined;
  let app: NestExpressApplication | undefined;
  try {
    database = await Database.open(process.env.DATABASE_URL);
    interrupted.throwIfAborted();
    app = await createApp(database);
    const listener = app.get(PgListener);
    // Boot waits until the stream runs. Whoever does not want to wait for that stops the listener.
    interrupted.addEventListener('abort', () => void listener.stop());
    await app.listen(port, HOST);
    app.flushLogs();
    console.log(welcome(port, database));
    if (!interrupted.aborted) await once(interrupted, 'abort');
  } finally {
    // The listener confirms what its handlers have done, and only then may the database go.
    await app?.close();
    await database?.close();
  }
});

function createApp(database: Database): Promise<NestExpressApplication> {
  return NestFactory.create<NestExpressApplication>(AppModule.register(database), APPLICATION_OPTIONS).then((app) =>
    app.useStaticAssets(publicDirectory()),
  );
}

function welcome(port: number, { psql, isEmbedded }: Database): string {
  const home = HOST === '127.0.0.1' || HOST === '0.0.0.0' || HOST === '::' ? 'localhost' : HOST;
  return [
    '',
    `  Live orders      http://${home}:${port}`,
    `  Change a row     ${psql}`,
    `  Database         ${isEmbedded ? 'started for this run; it is gone when you stop it' : 'yours, from DATABASE_URL'}`,
    '  Stop             Ctrl-C',
    '',
  ].join('\n');
}
