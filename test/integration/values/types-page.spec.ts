import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { InsertChange } from 'nestjs-pg-listener';
import { createDatabase, withClient, type TestDatabase } from '../../support/database.js';
import { majorVersion, ValueCatalogue } from '../../support/values/catalogue.js';
import { NAMED_THINGS } from '../../support/values/identifiers.js';
import { builtInValues, SHOWN_TYPES, SHOWN_USER_VALUES, type ShownValue } from '../../support/values/shown-values.js';
import {
  contentOf,
  renderEntry,
  renderTypes,
  type TypeEntry,
  type TypeFamily,
} from '../../support/values/types-page.js';
import { createTable, ValueStream } from '../../support/values/value-stream.js';

const PAGE = new URL('../../../../docs/types.md', import.meta.url);
/** Of which the page is written: a later version may have other types. */
const VERSION_OF_THE_PAGE = 18;

const isWriting = process.env['PG_LISTENER_WRITE_TYPES'] === '1';
const [catalogue, version] = await withClient(process.env['PG_LISTENER_TEST_URL']!, async (client) => {
  return [await ValueCatalogue.of(client), await majorVersion(client)] as const;
});

describe('the page of types', () => {
  const built = builtInValues(catalogue);
  const shown: readonly ShownValue[] = [...built.scalars, ...built.ranges, ...built.arrays, ...SHOWN_USER_VALUES];
  let db: TestDatabase;
  let stream: ValueStream;
  let families: TypeFamily[];

  beforeAll(async () => {
    const tables = shown.map(({ type }, index) => ({ name: `t${index}`, columns: [{ name: 'value', type }] }));
    db = await createDatabase();
    await db.query(NAMED_THINGS + SHOWN_TYPES + tables.map(createTable).join('\n'));
    stream = await ValueStream.open({ writerUrl: db.url, connection: { connectionString: db.url }, types: 'rich' });
    const entries = new Map<ShownValue, TypeEntry>();
    for (const [index, each] of shown.entries()) {
      const table = tables[index]!;
      await stream.insert(table, [[each.text]]);
      const [{ record }] = (await stream.take(1)) as [InsertChange];
      const plain = (await stream.select(table)).get('1')!['value'];
      entries.set(each, { type: nameOf(each), text: each.text, plain, rich: record['value'] });
    }
    const of = (values: readonly ShownValue[]): TypeEntry[] => values.map((each) => entries.get(each)!);
    families = [
      { title: 'Built-in types', about: '', entries: of(built.scalars) },
      {
        title: 'Ranges and multiranges',
        about: RANGES,
        entries: of(built.ranges),
      },
      { title: 'Types that you make, and those of extensions', about: MADE, entries: of(SHOWN_USER_VALUES) },
      { title: 'Arrays of built-in types', about: ARRAYS, entries: of(built.arrays) },
    ];
    if (isWriting) writeFileSync(PAGE, renderTypes(families));
  });

  afterAll(async () => {
    await stream?.close();
    await db?.drop();
  });

  it('shows what becomes of each value', () => {
    expect(existsSync(PAGE)).toBe(true);
    const page = contentOf(readFileSync(PAGE, 'utf8'));
    const rows = families.flatMap(({ entries }) => contentOf(entries.map(renderEntry).join('\n')));
    expect(rows.filter((row) => !page.includes(row))).toEqual([]);
    expect(rows.length).toBeGreaterThan(150);
  });

  it('shows nothing else', () => {
    if (version !== VERSION_OF_THE_PAGE) {
      return console.warn(`Not compared as a whole: the page is written from PostgreSQL ${VERSION_OF_THE_PAGE}`);
    }
    expect(contentOf(readFileSync(PAGE, 'utf8'))).toEqual(contentOf(renderTypes(families)));
  });
});

function nameOf(value: ShownValue): string {
  if ('kind' in value) return String(value.kind);
  const name = /"(.+)"/.exec(value.type)![1]!;
  return name.startsWith('_') ? `${name.slice(1)}[]` : name;
}

const RANGES = `A rich range is a \`PgRange\`, which the package exports: \`lower\` and \`upper\` are what a column of the bound's type would
be, null where the range has no such bound. An infinite date is a bound, and not null. The server writes ranges of integers and
dates with an upper bound that does not belong to them.`;

const MADE = `Within a structure, everything is what a column of its type would be. An attribute may have any name, \`__proto__\` too: the
objects are plain, and what is in them is their own. The names of a composite type's attributes are the catalogue's:

- A type that is made while the app streams is asked for when a table uses it; the stream waits so long. One that is gone by
  then is raw text.
- A composite type to which an attribute is added, or that loses one, is read from the catalogue again when a value shows it: the
  stream begins again where it stands; with \`slot: 'temporary'\` at its end of then, and what lies between is missed. A row that is older has \`null\` for what was added since, and nothing for
  what was dropped since, as in a query of now. Where nobody can know which attributes a value has, the app halts with the
  type's name; a parser of your own for that type reads on. Attributes that are only renamed, or put in the place of others
  without a change of their number, do not show in the stream: restart the app.`;

const ARRAYS = `Bounds other than 1 leave no trace. node-postgres reads \`numeric[]\` to floating-point numbers, though a \`numeric\` stays text.
Arrays of structures have the structures as their elements, also those that node-postgres reads to arrays of texts, such as
\`numrange[]\`.`;
