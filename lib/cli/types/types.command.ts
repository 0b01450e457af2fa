import { writeFile } from 'node:fs/promises';
import type { Client } from 'pg';
import { readTypeNames, readTypes } from '../../connection/type-catalogue.js';
import { describeTarget, type ConnectionTarget } from '../../connection/connection-target.js';
import { asError } from '../../errors/as-error.js';
import { listOf, type Command, type CommandCall } from '../command.js';
import { ExitCode } from '../exit-code.js';
import { OutputError, UsageError } from '../usage.error.js';
import { withClient } from '../with-client.js';
import { columnType, type GivenTypes } from './column-types.js';
import { declarationOf } from './declaration.js';
import { richColumnType } from './rich-column-types.js';
import { readDatabaseTypes, readTableColumns } from './table-columns.js';

export const typesCommand: Command = {
  name: 'types',
  usage: '[URL] [--schema NAME]... [--app NAME] [--rich] [--toastable] [--type NAME=TYPE]... [--out FILE]',
  summary: 'Writes the TypeScript of the rows of your tables, so that handlers know them by name.',
  help: `  --schema NAME  only tables of this schema (default: every schema)
  --app NAME     for the named listener NAME (default: the one without a name)
  --rich         for a listener with types: 'rich'
  --toastable    marks columns that an update may come without, where they are large and it leaves them alone
                 (Toastable; not json and jsonb, which are unknown)
  --type NAME=TYPE
                 the TypeScript of what a parser of yours makes of a type, such as int8=bigint or 'shop.colour=string'
                 (types.parsers of the listener, or pg.types.setTypeParser; an array is a type of its own: int8[])
  --out FILE     writes there instead of to stdout, such as src/tables.ts

The file augments PgListenerTables: from then on @OnTableChange('orders', 'insert') takes an
InsertChange<PgListenerTables['orders']>, and a name without a table does not compile. The types are those of
node-postgres with the parsers it comes with; what others give, --type says.`,
  options: {
    schema: { type: 'string', multiple: true },
    app: { type: 'string' },
    rich: { type: 'boolean' },
    toastable: { type: 'boolean' },
    type: { type: 'string', multiple: true },
    out: { type: 'string', short: 'o' },
  },
  run: async ({ target, values, terminal }: CommandCall) => {
    const schemas = listOf(values, 'schema');
    const texts = readGiven(listOf(values, 'type'));
    const { tables, types, made, given } = await withClient(target, async (client) => {
      const tables = await readTableColumns(client);
      const oids = tables.flatMap(({ columns }) => columns.map(({ typeOid }) => typeOid));
      const made = values['rich'] === true ? (await readTypes(client, oids, null)).types : null;
      return { tables, types: await readDatabaseTypes(client), made, given: await resolve(client, texts, target) };
    });
    const absent = schemas.filter((name) => !tables.some(({ schema }) => schema === name));
    if (absent.length > 0) {
      throw new UsageError(`There is no table in the schema "${absent.join('", "')}" of ${describeTarget(target)}`);
    }
    const wanted = schemas.length === 0 ? tables : tables.filter(({ schema }) => schemas.includes(schema));
    const text = declarationOf(wanted, {
      typeOf: (oid) => (made === null ? columnType(oid, types, given) : richColumnType(oid, types, made, given)),
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

/** @throws UsageError */
function readGiven(pairs: readonly string[]): ReadonlyMap<string, string> {
  return new Map(
    pairs.map((pair) => {
      const [, name, type] = /^([^=]+)=(.*\S.*)$/s.exec(pair) ?? [];
      if (name !== undefined && type !== undefined) return [name.trim(), type.trim()];
      throw new UsageError(`--type is "${pair}"; NAME=TYPE is wanted, such as int8=bigint`);
    }),
  );
}

/** By oid. @throws UsageError where there is no such type */
async function resolve(
  client: Client,
  texts: ReadonlyMap<string, string>,
  target: ConnectionTarget,
): Promise<GivenTypes> {
  const found = await readTypeNames(client, [...texts.keys()]);
  const given = new Map<number, string>();
  for (const [name, text] of texts) {
    const oid = found.get(name);
    if (oid === undefined) {
      throw new UsageError(`There is no type ${name} in ${describeTarget(target)}`, {
        hint: "write its name as in SQL, with its schema where that is not public: int8, shop.colour, 'mood[]'.",
      });
    }
    given.set(oid, text);
  }
  return given;
}

async function save(file: string, text: string): Promise<void> {
  try {
    await writeFile(file, text);
  } catch (cause) {
    throw new OutputError(`The file cannot be written: ${asError(cause).message}`, { cause });
  }
}
