import { TablePatternError } from '../errors/handler.error.js';

/** A table's name in the catalogue, exactly as it is written there. */
export interface ParsedTableName {
  readonly schema: string;
  readonly table: string;
}

interface PatternPart {
  readonly exclude: boolean;
  readonly schema: string;
  readonly table: string;
  /** Whether the part stands for tables by `*`, in the schema or in the table. */
  readonly isWildcard: boolean;
  matches(schema: string, table: string): boolean;
}

/** Either `"quoted ""name"""` or a run without dots and quotes. */
const NAME = /^(?:"((?:[^"]|"")+)"|([^."]+))$/;
const SPLIT = /^((?:"(?:[^"]|"")+")|[^."]+)(?:\.((?:"(?:[^"]|"")+")|[^."]+))?$/;

/**
 * Which tables a handler, a feature or an observable means: `orders` (= `public.orders`), `schema.table`, `schema.*`,
 * `*` (every schema), `!pattern` (all but), in any number. Names are compared exactly, upper and lower case apart, as
 * they stand in the catalogue; double quotes protect dots, stars and exclamation marks. `*` may stand within a name.
 */
export class TablePattern {
  private readonly parts: readonly PatternPart[];

  /** @throws TablePatternError */
  constructor(patterns: readonly string[]) {
    this.parts = patterns.map(parsePart);
    if (!this.parts.some((part) => !part.exclude)) {
      throw new TablePatternError(patterns.join(', '), 'excludes only: it needs a table or * beside it');
    }
  }

  matches(schema: string, table: string): boolean {
    let included = false;
    for (const part of this.parts) {
      if (!part.matches(schema, table)) continue;
      if (part.exclude) return false;
      included = true;
    }
    return included;
  }

  /** The tables that are named outright, and so must exist. */
  get namedTables(): readonly ParsedTableName[] {
    return this.parts.filter((part) => !part.exclude && !part.isWildcard);
  }
}

/** `orders` to `{ schema: 'public', table: 'orders' }`. @throws TablePatternError where it is a pattern */
export function parseTableName(name: string): ParsedTableName {
  const part = parsePart(name);
  if (part.exclude || part.isWildcard) throw new TablePatternError(name, 'is a pattern where one table is wanted');
  return { schema: part.schema, table: part.table };
}

/** `orders` and `public.orders` are one: the canonical text, for tokens and logs. */
export function canonicalTable(schema: string, table: string): string {
  return `${quoteIfNeeded(schema)}.${quoteIfNeeded(table)}`;
}

function quoteIfNeeded(name: string): string {
  return /[."*!]/.test(name) ? `"${name.replaceAll('"', '""')}"` : name;
}

function parsePart(text: string): PatternPart {
  const exclude = text.startsWith('!');
  const body = exclude ? text.slice(1) : text;
  const match = SPLIT.exec(body);
  if (match === null) throw new TablePatternError(text, body === '' ? 'is empty' : 'cannot be read');
  if (match[2] === undefined && match[1] === '*') {
    return { exclude, schema: '*', table: '*', isWildcard: true, matches: () => true };
  }
  const schema = match[2] === undefined ? 'public' : match[1]!;
  const table = match[2] ?? match[1]!;
  const schemaMatches = nameMatcher(schema);
  const tableMatches = nameMatcher(table);
  return {
    exclude,
    schema: unquote(schema),
    table: unquote(table),
    isWildcard: isGlob(schema) || isGlob(table),
    matches: (otherSchema, otherTable) => schemaMatches(otherSchema) && tableMatches(otherTable),
  };
}

function unquote(name: string): string {
  const match = NAME.exec(name);
  return match?.[1] === undefined ? name : match[1].replaceAll('""', '"');
}

function isGlob(name: string): boolean {
  return !name.startsWith('"') && name.includes('*');
}

function nameMatcher(name: string): (other: string) => boolean {
  if (!isGlob(name)) {
    const exact = unquote(name);
    return (other) => other === exact;
  }
  const source = name
    .split('*')
    .map((piece) => piece.replace(/[.+?^${}()|[\]\\]/g, '\\$&'))
    .join('.*');
  const expression = new RegExp(`^${source}$`, 's');
  return (other) => expression.test(other);
}

/** The canonical text of a table's name; a pattern stays as it is. */
export function canonicalSelector(text: string): string {
  const part = parsePart(text);
  return part.exclude || part.isWildcard ? text : canonicalTable(part.schema, part.table);
}
