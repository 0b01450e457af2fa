import { isChosen } from '../../build/test/faults/handlers.js';
import { JournalWriter } from '../../build/test/faults/journal.js';
import { changeName, deleteName } from '../../build/test/faults/truth.js';
import { SUBJECTS } from './subjects.mjs';

/** A process with one peer, that writes down what its one handler has done. `argv`: who, and `ChildOptions` as JSON. */
const [who, json] = process.argv.slice(2);
const options = JSON.parse(json);
const { slow, failing } = options;
const journal = new JournalWriter(options.directory, options.name);
const failed = new Set();
let seen = 0;

function nameOf(table, operation, row) {
  if (operation === 'delete') return deleteName(table, Number(row.id));
  return changeName(table, Number(row.row), Number(row.version));
}

/** Does what the serial handler of our own child does. */
async function work(table, operation, row, lsn) {
  const name = nameOf(table, operation, row);
  const { turn } = journal;
  if (slow !== undefined && ++seen % slow.every === 0) await new Promise((done) => setTimeout(done, slow.ms));
  if (failing !== undefined && isChosen(name, failing.perMille) && !failed.has(name)) {
    failed.add(name);
    throw new Error(`the handler fails on ${name}`);
  }
  journal.write('serial', lsn, [name], turn);
}

const running = new Set();
function handle(...change) {
  const call = work(...change);
  running.add(call);
  const ended = () => running.delete(call);
  call.then(ended, ended);
  return call;
}

/** What comes after may have been seen before: that is what at least once allows. */
function streaming() {
  journal.anew();
  process.send?.({ state: 'streaming' });
}

process.on('disconnect', () => process.exit(0));
const stop = await SUBJECTS[who].consume(options, handle, streaming);
process.on('message', async () => {
  await stop();
  while (running.size > 0) await Promise.allSettled(running);
  process.exit(0);
});
