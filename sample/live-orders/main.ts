import 'reflect-metadata';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { PgListener } from 'nestjs-pg-listener';
import { AppModule } from './app.module.js';
import { Database } from './database.js';
import { assertFree, portFrom } from './port.js';
import { publicDirectory } from './public-directory.js';

/** The page can change rows: it is for this machine, unless HOST says otherwise. */
const HOST = process.env.HOST || '127.0.0.1';

async function main(): Promise<void> {
  const port = portFrom(process.env.PORT);
  // Before anything is started: a server that nobody will see need not come up.
  await assertFree(port);

  // From here on a signal means "close in order". A second one changes nothing: npm passes on what the terminal has
  // sent already.
  const interruption = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => interruption.abort());
  const interrupted = interruption.signal;

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
  } catch (error) {
    // Ctrl-C reaches the programs that we wait for as well, and they may be the first to say so. That is no failure.
    await sleep(50);
    if (!interrupted.aborted) throw error;
  } finally {
    // The listener confirms what its handlers have done, and only then may the database go.
    await app?.close();
    await database?.close();
  }
}

function createApp(database: Database): Promise<NestExpressApplication> {
  return NestFactory.create<NestExpressApplication>(AppModule.register(database), {
    // A failed boot is told below, in one sentence, rather than by process.abort().
    abortOnError: false,
    // The log is held until the application listens: where it does not get there, the sentence is all one reads.
    bufferLogs: true,
    autoFlushLogs: false,
    // A page that is left open holds its event stream open.
    forceCloseConnections: true,
  }).then((app) => app.useStaticAssets(publicDirectory()));
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

main().then(
  () => process.exit(0),
  (error: Error) => {
    console.error(`\nLive orders did not start: ${error.message}\n`);
    process.exit(1);
  },
);
