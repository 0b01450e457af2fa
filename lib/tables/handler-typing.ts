import { parseTableName } from '../changes/table-pattern.js';
import { tableKey } from '../changes/transaction.js';
import { TableSourceError } from '../errors/handler.error.js';
import type { HandlerDefinition, HandlerMetadata } from '../interfaces/handler-definition.interface.js';
import type { MappedOptions } from '../interfaces/orm-table.interface.js';
import type { ResolvedTable } from './resolved-table.js';
import type { RowMapping } from './row-mapping.js';
import type { TableResolver } from './table-resolver.js';
import { typedCallback, type TableTyping, type TableTypings } from './typed-callback.js';

type Tables = Pick<HandlerDefinition, 'tables' | 'whenChanged' | 'oldRecord'>;

/** What a handler's metadata says of tables, by names: of tables, of columns. */
export interface TypedHandler extends Tables {
  readonly around: HandlerDefinition['around'];
  readonly mistakes: readonly string[];
}

/**
 * The tables that a handler names by an ORM's metadata, and what follows for it: their names among its tables, its method
 * for mapped rows, the columns of the properties that its options name.
 *
 * @param plain the handler without all that
 * @param overridden names from the module's options; undefined: the decorator's count
 */
export function typeHandler(
  metadata: HandlerMetadata,
  plain: Tables,
  overridden: readonly string[] | undefined,
  resolver: TableResolver,
): TypedHandler {
  const { tables, whenChanged, oldRecord } = plain;
  const mapped = metadata.options.mapped ?? false;
  const sources = 'sources' in metadata ? metadata.sources : [];
  if (sources.length === 0) {
    const mistakes =
      mapped === false ? [] : ['asks for `mapped`, which needs an entity class or a Drizzle table in @OnTableChange'];
    return { tables, whenChanged, oldRecord, around: undefined, mistakes };
  }
  const mistakes: string[] = [];
  const resolved: ResolvedTable[] = [];
  for (const source of sources) {
    try {
      resolved.push(resolver.resolve(source));
    } catch (error) {
      if (!(error instanceof TableSourceError)) throw error;
      mistakes.push(`has a table that nobody knows: ${error.message.split('\n', 1)[0]}`);
    }
  }
  const names = overridden ?? [...tables, ...resolved.map(({ name }) => name)];
  if (metadata.kind === 'schema') {
    if (mapped !== false) mistakes.push('asks for `mapped`, which is for rows: @OnTableChange');
    return { tables: names, whenChanged, oldRecord, around: undefined, mistakes };
  }
  const typings = typingsOf(resolved, mapped, overridden !== undefined);
  const all = [...typings.byTable.values()];
  const mappings = all.flatMap(({ mapping }) => mapping ?? []);
  const isTyped = all.some(({ mapping, only }) => mapping !== null || only !== null);
  const columns = (option: string, properties: readonly string[]): string[] =>
    columnsOf(option, properties, mappings, mistakes);
  const isMapped = mappings.length > 0;
  return {
    tables: names,
    whenChanged: isMapped ? columns('whenChanged', whenChanged) : whenChanged,
    oldRecord: isMapped && oldRecord !== 'full' ? columns('oldRecord', oldRecord) : oldRecord,
    around: isTyped ? (method) => typedCallback(method, typings) : undefined,
    mistakes,
  };
}

function typingsOf(
  resolved: readonly ResolvedTable[],
  mapped: boolean | MappedOptions,
  isOverridden: boolean,
): TableTypings {
  const byTable = new Map<string, TableTyping>();
  const options = typeof mapped === 'object' ? mapped : {};
  for (const table of resolved) {
    const key = tableKey(parseTableName(table.name));
    const mapping = mapped === false ? null : table.mapping(options);
    byTable.set(key, merged(byTable.get(key), { mapping, only: table.only }));
  }
  const [first] = byTable.values();
  // One table under another name is that table still.
  return { byTable, others: isOverridden && byTable.size === 1 ? first : undefined };
}

/** Several classes of one table are heard together. They have one mapping, which tells rows apart. */
function merged(one: TableTyping | undefined, { mapping, only }: TableTyping): TableTyping {
  if (one === undefined) return { mapping, only };
  if (one.only === null || only === null) return { mapping: one.mapping, only: null };
  return { mapping: one.mapping, only: { ...only, values: new Set([...one.only.values, ...only.values]) } };
}

function columnsOf(
  option: string,
  properties: readonly string[],
  mappings: readonly RowMapping[],
  mistakes: string[],
): string[] {
  const columns = new Set<string>();
  for (const property of properties) {
    const found = mappings.flatMap((mapping) => mapping.columnsOf(property) ?? []);
    if (found.length === 0) {
      const known = [...new Set(mappings.flatMap((mapping) => mapping.properties))].join(', ');
      mistakes.push(`names the property '${property}' in \`${option}\`, and rows are mapped to ${known}`);
    }
    for (const column of found) columns.add(column);
  }
  return [...columns];
}
