import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { targetOf } from './cluster.mjs';
import { CONSUMERS, findRecvlogical } from './consumers.mjs';
import { dropSlot, PUBLICATION } from './backlog.mjs';

/** No consumer of a sane size needs longer; a hanging one must not hang the run. */
const PATIENCE_MS = 30 * 60_000;

/**
 * Lets a consumer drain the backlog from a slot of its own, and checks what it counted.
 *
 * @throws Error where rows are missing or wrong, or the position was not confirmed by one that promises it
 */
export async function drain(backlog, name, transport = 'tcp') {
  const consumer = CONSUMERS[name];
  const slot = await backlog.copySlot();
  try {
    if (consumer.module === 'pg_recvlogical') return await drainWithRecvlogical(backlog, slot, transport);
    const expected = consumer.countsAll ? backlog.changes : backlog.handled;
    const target = targetOf(backlog.cluster, backlog.database, transport);
    const job = { section: 'drain', consumer, target, slot, publication: PUBLICATION, expected };
    const report = await (await startConsumer(job)).finished;
    if (!consumer.countsAll) checkRows(backlog, name, report);
    if (consumer.confirms) {
      const behind = await backlog.confirmedBehind(slot);
      // The server may have logged something of its own before we asked for the place.
      if (behind > 1024) throw new Error(`${name} left ${behind} bytes unconfirmed`);
    }
    return figuresOf(report, backlog.changes);
  } finally {
    await dropSlot(backlog.url, slot);
  }
}

function checkRows(backlog, name, { sum, characters }) {
  if (sum !== backlog.sum) throw new Error(`${name} summed ${sum} instead of ${backlog.sum}`);
  backlog.characters ??= characters;
  if (characters !== backlog.characters) {
    throw new Error(`${name} read ${characters} characters, the one before ${backlog.characters}`);
  }
}

/** Starts a consumer and resolves when it listens; `finished` has its report when it has counted what it should. */
export async function startConsumer(job) {
  const child = fork(new URL('../consumers/child.mjs', import.meta.url), {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const impatience = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS);
  const ended = once(child, 'exit');
  let listens;
  const listening = new Promise((resolve) => (listens = resolve));
  const report = new Promise((resolve, reject) => {
    child.on('message', (message) => {
      if (message.ready) listens();
      else if (message.report) resolve(message.report);
      else reject(new Error(`${job.consumer.module}: ${message.error}`));
    });
    child.once('exit', (code, signal) => reject(new Error(`${job.consumer.module} ended: ${code ?? signal}`)));
  });
  child.send(job);
  const finished = report.finally(async () => {
    clearTimeout(impatience);
    await ended;
  });
  await Promise.race([listening, finished]);
  return { finished, stop: () => child.kill('SIGKILL') };
}

async function drainWithRecvlogical(backlog, slot, transport) {
  const { host, port, user } = targetOf(backlog.cluster, backlog.database, transport);
  const startedAt = performance.now();
  const server = `--host=${host} --port=${port} --username=${user} --dbname=${backlog.database}`;
  const what = `--slot=${slot} --option=proto_version=1 --option=publication_names=${PUBLICATION} --endpos=${backlog.end}`;
  const program = spawn(findRecvlogical(), `${server} ${what} --start --no-loop --file=/dev/null`.split(' '), {
    stdio: ['ignore', 'ignore', 'inherit'],
    // As all the others: by itself it would use TLS where the server has it.
    env: { ...process.env, PGSSLMODE: 'disable', PGGSSENCMODE: 'disable' },
    timeout: PATIENCE_MS,
  });
  const [code] = await once(program, 'exit');
  if (code !== 0) throw new Error(`pg_recvlogical ended with code ${code}`);
  const seconds = (performance.now() - startedAt) / 1_000;
  return { seconds, changesPerSecond: backlog.changes / seconds };
}

function figuresOf(report, changes) {
  return {
    ...report,
    changesPerSecond: changes / report.seconds,
    cpuMicroseconds: (report.cpuSeconds * 1e6) / changes,
  };
}
