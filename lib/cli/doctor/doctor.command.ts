import { describeTarget } from '../../connection/connection-target.js';
import { listOf, type Command, type CommandCall } from '../command.js';
import { ExitCode } from '../exit-code.js';
import { readNeeds } from './column-checks.js';
import { examine } from './examination.js';
import { loadParsers } from './own-parsers.js';
import { printReport } from './report.js';
import { readWishes, WISH_NAMES } from './wishes.js';

export const doctorCommand: Command = {
  name: 'doctor',
  usage: '[URL] [--slot NAME] [--publication NAME]... [--table PATTERN]... [--with OPTION]... [...] [--json]',
  summary: 'Looks whether a listener can start, and says for each fault what mends it. Changes nothing.',
  help: `  --slot NAME         also looks at this slot as the start of a listener does
  --publication NAME  also holds this publication of yours against --table, as the boot of a listener does
  --table PATTERN     what the listener is to hear of: orders, billing.invoices, sales.*, !audit (default: *)
  --when-changed COLUMN, --old-record COLUMN
                      what a handler of --table asks for, several with commas; --old-record full for the whole row
  --with OPTION       options that the listener is to have, several with commas: ${WISH_NAMES}
  --parsers FILE      with binary: a module of JavaScript whose default export is \`types.parsers\` of the listener;
                      what it sets with pg.types.setTypeParser counts too
  --json              {"target","findings":[{"check","level","what","why","mend":[{"sql","by"}|{"step"}]}],
                      "errors","warnings"} on one line

Run it as the role that the application connects with. A finding is ok, a warning (something will hurt one day) or
an error (no listener can start, or the database suffers now). Exit code: 1 if there is an error.`,
  options: {
    slot: { type: 'string' },
    publication: { type: 'string', multiple: true },
    with: { type: 'string', multiple: true },
    'when-changed': { type: 'string', multiple: true },
    'old-record': { type: 'string', multiple: true },
    parsers: { type: 'string' },
    table: { type: 'string', multiple: true },
    json: { type: 'boolean' },
  },
  run: async (call: CommandCall) => {
    const { target, values, terminal } = call;
    const tables = listOf(values, 'table');
    const wishes = readWishes(listOf(values, 'with'));
    // What an application would be called, where its URL does not say.
    const listener = {
      app: target.app,
      connection: { ...target.connection, application_name: `nestjs-pg-listener:${target.app}` },
    };
    const parsers = await loadParsers(listOf(values, 'parsers')[0]);
    const findings = await examine(target, {
      listener,
      slot: listOf(values, 'slot')[0],
      publications: listOf(values, 'publication'),
      wishes,
      parsers,
      needs: readNeeds(listOf(values, 'when-changed'), listOf(values, 'old-record')),
      tables: tables.length === 0 ? ['*'] : tables,
    });
    const errors = findings.filter(({ level }) => level === 'error').length;
    const warnings = findings.filter(({ level }) => level === 'warning').length;
    if (values['json'] === true) terminal.printJson({ target: describeTarget(target), findings, errors, warnings });
    else printReport(findings, call);
    return errors > 0 ? ExitCode.Failed : ExitCode.Done;
  },
};
