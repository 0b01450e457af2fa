import { writeFile } from 'node:fs/promises';
import { readTypes } from '../../connection/type-catalogue.js';
import { describeTarget } from '../../connection/connection-target.js';
import { asError } from '../../errors/as-error.js';
import { listOf, type Command, type CommandCall } from '../command.js';
import { ExitCode } from '../exit-code.js';
import { UsageError } from '../usage.error.js';
import { withClient } from '../with-client.js';
import { columnType } from './column-types.js';
import { declarationOf } from './declaration.js';
import { richColumnType } from './rich-column-types.js';
import { readDatabaseTypes, readTableColumns } from './table-columns.js';

export const typesCommand: Command = {
  name: 'types',
  usage: '[URL] [--schema NAME]... [--app NAME] [--rich] [--toastable] [--out FILE]',
  summary: 'Writes the TypeScript of the rows of your tables, so that handlers know them by name.',
  help: `  --schema NAME  only tables of this schema (default: every schema)
  --app NAME     for the named listener NAME (default: the one without a name)
  --rich         for a listener with types: 'rich'
  --toastable    marks columns that an update may come without, where they are large and it leaves them alone
                 (Toastable; not json and jsonb, which are unknown)
  --out FILE     writes there instead of to stdout, such as src/tables.ts

The file augments PgListenerTables: from then on @OnTableChange('orders', 'insert') takes an
InsertChange<PgListenerTables['orders']>, and a name without a table does not compile. The types are those of
node-postgres with the parsers it comes with; what pg.types.setTypeParser changes, it does not know.`,
  options: {
    schema: { type: 'string', multiple: true },
    app: { type: 'string' },
    rich: { type: 'boolean' },
    toastable: { type: 'boolean' },
    out: { type: 'string', short: 'o' },
  },
  run: async ({ target, values, terminal }: CommandCall) => {
    const schemas = listOf(values, 'schema');
    const { tables, types, made } = await withClient(target, async (client) => {
      const tables = await readTableColumns(client);
      const oids = tables.flatMap(({ columns }) => columns.map(({ typeOid }) => typeOid));
      const made = values['rich'] === true ? (await readTypes(client, oids, null)).types : null;
      return { tables, types: await readDatabaseTypes(client), made };
    });
    const absent = schemas.filter((name) => !tables.some(({ schema }) => schema === name));
    if (absent.length > 0) {
      throw new UsageError(`There is no table in the schema "${absent.join('", "')}" of ${describeTarget(target)}`);
    }
    const wanted = schemas.length === 0 ? tables : tables.filter(({ schema }) => schemas.includes(schema));
    const text = declarationOf(wanted, {
      typeOf: (oid) => (made === null ? columnType(oid, types) : richColumnType(oid, types, made)),
      marksToast: values['toastable'] === true,
      app: listOf(values, 'app')[0],
    });
    const [file] = listOf(values, 'out');
    if (file === undefined) terminal.print(text.trimEnd());
    else await save(file, text);
    if (file !== undefined) terminal.say(`Wrote ${wanted.length} tables to ${file}`);
    return ExitCode.Done;
  },
};

async function save(file: string, text: string): Promise<void> {
  try {
    await writeFile(file, text);
  } catch (cause) {
    throw new UsageError(`The file cannot be written: ${asError(cause).message}`, { cause });
  }
}
