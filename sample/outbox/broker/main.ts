import 'reflect-metadata';
import { once } from 'node:events';
import { run } from '../../boot/run.js';
import { startBroker } from './start-broker.js';

/** The broker by itself: it outlives the relays that one kills. */
run('The broker', async (interrupted) => {
  const broker = await startBroker();
  try {
    broker.flushLogs();
    const url = await broker.getUrl();
    console.log(['', `  Deliveries  ${url}/deliveries`, '  Stop        Ctrl-C', ''].join('\n'));
    if (!interrupted.aborted) await once(interrupted, 'abort');
  } finally {
    await broker.close();
  }
});
