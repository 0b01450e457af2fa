import { canonicalTable } from '../../changes/table-pattern.js';
import { columnType, INTERVAL_DECLARATION, literal, type DatabaseType } from './column-types.js';
import type { DescribedTable, TableColumn } from './table-columns.js';

/** A name that can stand as a property without quotes. */
const PLAIN_NAME = /^[A-Za-z_$][\w$]*$/;

/**
 * A module that tells TypeScript the rows of the tables.
 *
 * @param app the named listener that the tables belong to; `default`: the one without a name
 */
export function declarationOf(
  tables: readonly DescribedTable[],
  types: ReadonlyMap<number, DatabaseType>,
  app: string,
): string {
  let usesInterval = false;
  const indent = app === 'default' ? '    ' : '      ';
  const properties = tables.map((each) => {
    const columns = each.columns.map((column) => {
      usesInterval ||= columnType(column.typeOid, types).usesInterval === true;
      return columnText(column, types, `${indent}  `);
    });
    const body = columns.length === 0 ? '{}' : `{\n${columns.join('\n')}\n${indent}}`;
    return `${indent}${propertyName(tableName(each))}: ${body};`;
  });
  const parts = [
    '// Written by `nestjs-pg-listener types`: run it again when the tables have changed.',
    'export {};',
    ...(usesInterval ? [INTERVAL_DECLARATION] : []),
    `declare module 'nestjs-pg-listener' {\n${augmentation(app, properties)}\n}`,
  ];
  return `${parts.join('\n\n')}\n`;
}

function augmentation(app: string, properties: readonly string[]): string {
  if (app === 'default') return `  interface PgListenerTables {\n${properties.join('\n')}\n  }`;
  const tables = `    ${propertyName(app)}: {\n${properties.join('\n')}\n    };`;
  return `  interface PgListenerApps {\n${tables}\n  }`;
}

/** As it is written in `@OnTableChange`: tables of `public` without their schema. */
function tableName({ schema, table }: DescribedTable): string {
  const name = canonicalTable(schema, table);
  return schema === 'public' ? name.slice('public.'.length) : name;
}

function columnText(
  { name, typeOid, isNullable, isGenerated }: TableColumn,
  types: ReadonlyMap<number, DatabaseType>,
  indent: string,
): string {
  const { text } = columnType(typeOid, types);
  // unknown has null in it already.
  const nullable = isNullable && text !== 'unknown' ? ' | null' : '';
  const note = isGenerated ? `${indent}/** Generated: changes come without it, unless it is published. */\n` : '';
  return `${note}${indent}${propertyName(name)}${isGenerated ? '?' : ''}: ${text}${nullable};`;
}

function propertyName(name: string): string {
  return PLAIN_NAME.test(name) ? name : literal(name);
}
