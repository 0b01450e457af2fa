import { canonicalTable } from '../../changes/table-pattern.js';
import { INTERVAL_DECLARATION, propertyName, type ColumnType } from './column-types.js';
import type { DescribedTable, TableColumn } from './table-columns.js';

export interface DeclarationOptions {
  readonly typeOf: (typeOid: number) => ColumnType;
  /** Whether columns that an update may leave out are marked. */
  readonly marksToast?: boolean;
  /** The named listener that the tables belong to. @default the one without a name */
  readonly app?: string | undefined;
}

/** A module that tells TypeScript the rows of the tables. */
export function declarationOf(tables: readonly DescribedTable[], options: DeclarationOptions): string {
  const { typeOf, app = 'default' } = options;
  const all = tables.flatMap(({ columns }) => columns.map(({ typeOid }) => typeOf(typeOid)));
  const usesToastable = tables.some(({ columns }) => columns.some((each) => isMarked(each, options)));
  const imports = [
    ...(all.some(({ usesRange }) => usesRange === true) ? ['PgRange'] : []),
    ...(usesToastable ? ['Toastable'] : []),
  ];
  const indent = app === 'default' ? '    ' : '      ';
  const properties = tables.map((each) => {
    const columns = each.columns.map((column) => columnText(column, options, `${indent}  `));
    const body = columns.length === 0 ? '{}' : `{\n${columns.join('\n')}\n${indent}}`;
    return `${indent}${propertyName(tableName(each))}: ${body};`;
  });
  const parts = [
    '// Written by `nestjs-pg-listener types`: run it again when the tables have changed.',
    imports.length === 0 ? 'export {};' : `import type { ${imports.join(', ')} } from 'nestjs-pg-listener';`,
    ...(all.some(({ usesInterval }) => usesInterval === true) ? [INTERVAL_DECLARATION] : []),
    `declare module 'nestjs-pg-listener' {\n${augmentation(app, properties)}\n}`,
  ];
  return `${parts.join('\n\n')}\n`;
}

function augmentation(app: string, properties: readonly string[]): string {
  const body = (indent: string): string => (properties.length === 0 ? '{}' : `{\n${properties.join('\n')}\n${indent}}`);
  if (app === 'default') return `  interface PgListenerTables ${body('  ')}`;
  const tables = `    ${propertyName(app)}: ${body('    ')};`;
  return `  interface PgListenerApps {\n${tables}\n  }`;
}

/** As it is written in `@OnTableChange`: tables of `public` without their schema. */
function tableName({ schema, table }: DescribedTable): string {
  const name = canonicalTable(schema, table);
  return schema === 'public' ? name.slice('public.'.length) : name;
}

function columnText(column: TableColumn, options: DeclarationOptions, indent: string): string {
  const { name, typeOid, isNullable, isGenerated } = column;
  const { text } = options.typeOf(typeOid);
  // unknown has null in it already.
  const value = isNullable && text !== 'unknown' ? `${text} | null` : text;
  const note = isGenerated ? `${indent}/** Generated: changes come without it, unless it is published. */\n` : '';
  const marked = isMarked(column, options) ? `Toastable<${value}>` : value;
  return `${note}${indent}${propertyName(name)}${isGenerated ? '?' : ''}: ${marked};`;
}

/** What is unknown cannot be marked: it would become an object. */
function isMarked({ isToastable, typeOid }: TableColumn, { typeOf, marksToast = false }: DeclarationOptions): boolean {
  return marksToast && isToastable && typeOf(typeOid).text !== 'unknown';
}
