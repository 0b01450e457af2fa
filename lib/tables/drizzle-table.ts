import { canonicalTable } from '../changes/table-pattern.js';
import type { DrizzleTable, MappedOptions, TableSource } from '../interfaces/orm-table.interface.js';
import { driverValueReader, type DrizzleColumn } from './drizzle-values.js';
import type { MappedColumn } from './record-mapper.js';
import { UnresolvedTable, type ResolvedTable } from './resolved-table.js';
import { RowMapping } from './row-mapping.js';
import { isEntitySchema } from './typeorm-source.js';

// Drizzle registers its symbols for everyone, so that several copies of it know each other's tables.
const IS_TABLE = Symbol.for('drizzle:IsDrizzleTable');
const NAME = Symbol.for('drizzle:OriginalName');
const SCHEMA = Symbol.for('drizzle:Schema');
const COLUMNS = Symbol.for('drizzle:Columns');
const VIEW = Symbol.for('drizzle:ViewBaseConfig');
const KIND = Symbol.for('drizzle:entityKind');

interface TableParts {
  readonly [NAME]: string;
  readonly [SCHEMA]: string | undefined;
  readonly [COLUMNS]: Readonly<Record<string, DrizzleColumn>>;
}

export function isDrizzleTable(value: unknown): value is DrizzleTable {
  return typeof value === 'object' && value !== null && IS_TABLE in value;
}

export function isDrizzleView(value: unknown): boolean {
  return typeof value === 'object' && value !== null && VIEW in value;
}

/** Looked at before `name`: a class has one, and so has a table with such a column. */
export function isTableSource(value: unknown): value is TableSource {
  return typeof value === 'function' || isDrizzleTable(value) || isEntitySchema(value);
}

/** Canonical. A table without a schema is taken to be in `public`. @throws UnresolvedTable */
export function drizzleTableName(table: DrizzleTable): string {
  const { [NAME]: name, [SCHEMA]: schema } = table as unknown as Partial<TableParts>;
  if (typeof name !== 'string') throw new UnresolvedTable('is a table of a version of Drizzle that is not known');
  const kind = (table.constructor as unknown as { [KIND]?: string })[KIND];
  if (kind !== 'PgTable')
    throw new UnresolvedTable(`is no table of PostgreSQL, but a ${kind ?? 'table of another kind'}`);
  return canonicalTable(schema ?? 'public', name);
}

/** @throws UnresolvedTable */
export function resolveDrizzleTable(table: DrizzleTable): ResolvedTable {
  const name = drizzleTableName(table);
  const { [COLUMNS]: columns } = table as unknown as TableParts;
  return {
    name,
    only: null,
    note: null,
    mapping: (options) =>
      new RowMapping({
        prototype: Object.prototype,
        columns: Object.entries(columns).map(([property, column]) => mappedColumn(property, column, options)),
      }),
  };
}

function mappedColumn(property: string, column: DrizzleColumn, { casing }: MappedOptions): MappedColumn {
  const name = column.keyAsName && casing !== undefined ? cased(column.name, casing) : column.name;
  return { column: name, property, place: { embedded: [], name: property, read: driverValueReader(column) } };
}

/** A word ends where a capital begins; a run of capitals is one, up to the last, where a small letter follows it. */
const WORD = /[A-Z]+(?![a-z])|[A-Z]?[a-z\d]+|\d+/g;

function cased(name: string, casing: NonNullable<MappedOptions['casing']>): string {
  const words = name.replace(/['\u2019]/g, '').match(WORD) ?? [];
  if (casing === 'snake_case') return words.map((word) => word.toLowerCase()).join('_');
  const [first = '', ...rest] = words;
  return first.toLowerCase() + rest.map((word) => word[0]!.toUpperCase() + word.slice(1)).join('');
}
