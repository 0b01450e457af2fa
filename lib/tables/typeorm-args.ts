import { types } from 'node:util';
import { canonicalTable } from '../changes/table-pattern.js';
import type { EntityClass } from '../interfaces/orm-table.interface.js';
import type { EmbeddedObject, MappedColumn } from './record-mapper.js';
import { UnresolvedTable, type ResolvedTable } from './resolved-table.js';
import { RowMapping } from './row-mapping.js';
import type { ArgsStorage, ColumnArgs, EmbeddedArgs, Transformer } from './typeorm-source.js';

/**
 * A table of TypeORM's by its decorators alone, named as TypeORM does without a naming strategy.
 *
 * @throws UnresolvedTable
 */
export function resolveUndecided(entity: EntityClass, storage: ArgsStorage | undefined): ResolvedTable {
  const table = storage?.tables.find(({ target }) => target === entity);
  if (storage === undefined || table === undefined) {
    throw new UnresolvedTable(
      'is no entity: it has no @Entity(), nor does a TypeORM data source of the application know it',
    );
  }
  if (table.type === 'view') throw new UnresolvedTable('is a view entity: a view has no rows of its own to change');
  if (table.type === 'entity-child') {
    throw new UnresolvedTable(
      'is a child entity, whose rows only a data source can tell from those of others: provide yours as TypeOrmModule does',
    );
  }
  const name = canonicalTable(table.schema ?? 'public', table.name ?? tableNameOf(entity.name));
  return {
    name,
    only: null,
    note:
      `No TypeORM data source of this application knows the entity ${entity.name}: its table is taken to be ${name}, and its ` +
      'columns to be named without a naming strategy',
    mapping: () => new RowMapping({ prototype: entity.prototype as object, columns: columnsOf(entity, storage, []) }),
  };
}

interface Level extends EmbeddedObject {
  readonly prefix: readonly string[];
}

function columnsOf(owner: EntityClass, storage: ArgsStorage, levels: readonly Level[]): MappedColumn[] {
  const classes = ancestry(owner);
  const own = inheritedOnce(storage.columns, classes).filter(
    ({ mode }) => mode !== 'virtual' && mode !== 'virtual-property',
  );
  const embeddeds = inheritedOnce(storage.embeddeds, classes);
  return [
    ...own.map((column) => mappedColumn(column, levels)),
    ...embeddeds.flatMap((each) => columnsOf(each.type(), storage, [...levels, levelOf(each)])),
  ];
}

function mappedColumn({ propertyName, options }: ColumnArgs, levels: readonly Level[]): MappedColumn {
  const steps = stepsOf(options);
  return {
    column: columnNameOf(options.name ?? propertyName, levels),
    property: levels[0]?.name ?? propertyName,
    place: {
      embedded: levels,
      name: propertyName,
      read: steps.length === 0 ? null : (value) => steps.reduce((each, step) => step(each), value),
    },
  };
}

/** What makes TypeORM's value of node-postgres'. Of types that only a driver can read, nothing does. */
function stepsOf({ type, utc, transformer = [] }: ColumnArgs['options']): ((value: unknown) => unknown)[] {
  // The last one wrote, so the last one reads first.
  const transformers = (Array.isArray(transformer) ? (transformer as Transformer[]) : [transformer as Transformer])
    .toReversed()
    .map((each) => (value: unknown) => each.from(value));
  const read = typeof type === 'string' ? READERS[type] : undefined;
  return read === undefined ? transformers : [(value) => read(value, utc === true), ...transformers];
}

const READERS: Readonly<Record<string, (value: unknown, isUtc: boolean) => unknown>> = {
  date: (value, isUtc) => (types.isDate(value) ? dateText(value, isUtc) : value),
  'simple-array': (value) => (typeof value === 'string' ? (value === '' ? [] : value.split(',')) : value),
  'simple-json': (value) => (typeof value === 'string' ? (JSON.parse(value) as unknown) : value),
};

function dateText(date: Date, isUtc: boolean): string {
  const [year, month, day] = isUtc
    ? [date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate()]
    : [date.getFullYear(), date.getMonth(), date.getDate()];
  return [year, month + 1, day].map((each, index) => String(each).padStart(index === 0 ? 4 : 2, '0')).join('-');
}

function levelOf({ propertyName, prefix, type }: EmbeddedArgs): Level {
  const own =
    prefix === undefined || prefix === true ? [propertyName] : prefix === false || prefix === '' ? [] : [prefix];
  return { name: propertyName, prototype: type().prototype as object, prefix: own };
}

/** A class and what it extends. */
function ancestry(owner: EntityClass): unknown[] {
  const classes: unknown[] = [];
  for (let each: unknown = owner; typeof each === 'function' && each !== Function.prototype;) {
    classes.push(each);
    each = Object.getPrototypeOf(each);
  }
  return classes;
}

/** Of one property, what was declared first: TypeORM gives a column of a parent that the class declares anew no other name. */
function inheritedOnce<T extends { readonly target: unknown; readonly propertyName: string }>(
  all: readonly T[],
  classes: readonly unknown[],
): T[] {
  const found = new Map<string, T>();
  for (const each of all) {
    if (classes.includes(each.target) && !found.has(each.propertyName)) found.set(each.propertyName, each);
  }
  return [...found.values()];
}

/** `OrderLine` to `order_line`, `HTTPLog` to `http_log`. */
function tableNameOf(className: string): string {
  return className.replace(/[A-Z](?=[A-Z][a-z])|[a-z0-9](?=[A-Z])/g, '$&_').toLowerCase();
}

/** Within something embedded, its prefixes in camel case go before, and the name is one word. */
function columnNameOf(name: string, levels: readonly Level[]): string {
  const prefixes = levels.flatMap(({ prefix }) => prefix);
  if (prefixes.length === 0) return name;
  const joined = prefixes.join('_').replace(/^[A-Z]/, (first) => first.toLowerCase());
  const camel = joined.replace(/[\s_-](\w)/g, (_, letter: string) => letter.toUpperCase());
  return camel + name.replace(/\w\S*/g, (word) => word[0]!.toUpperCase() + word.slice(1).toLowerCase());
}
