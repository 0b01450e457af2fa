import { builtInShape } from '../../decoder/binary/built-in-types.js';
import { DEEPEST_TYPE, type MadeType } from '../../protocol/made-type.js';
import {
  baseOf,
  columnType,
  givenType,
  propertyName,
  type ColumnType,
  type DatabaseType,
  type GivenTypes,
} from './column-types.js';

const LEFT_AS_TEXT = 'string';
const LEFT_AS_TEXTS = '(string | null)[]';

/**
 * The TypeScript of a column with `types: 'rich'`: what node-postgres leaves as text, or as an array of texts, has the
 * structure of its type.
 *
 * @param made types of users, with all that they are made of
 */
export function richColumnType(
  oid: number,
  types: ReadonlyMap<number, DatabaseType>,
  made: ReadonlyMap<number, MadeType>,
  given: GivenTypes = new Map(),
  depth = 0,
): ColumnType {
  const parsed = givenType(oid, types, given);
  if (parsed !== undefined) return parsed;
  const base = baseOf(oid, types);
  const own = columnType(base, types);
  const shape = made.get(base) ?? builtInShape(base);
  if (shape === undefined || depth > DEEPEST_TYPE) return own;
  const within = (part: number): ColumnType => richColumnType(part, types, made, given, depth + 1);
  if (shape.kind === 'array') {
    const element = within(shape.of);
    if (element.isGiven === true) return structure([element], `${orNull(element)}[]`);
    const isLeft = own.text === LEFT_AS_TEXT || (own.text === LEFT_AS_TEXTS && element.isStructure === true);
    return isLeft ? structure([element], `${orNull(element)}[]`) : own;
  }
  if (own.text !== LEFT_AS_TEXT) return own;
  switch (shape.kind) {
    case 'range':
      return rangeOf(within(shape.of), '');
    case 'multirange': {
      const range = made.get(shape.of) ?? builtInShape(shape.of);
      return range?.kind === 'range' ? rangeOf(within(range.of), '[]') : own;
    }
    case 'composite':
      return composite(shape.attributes, within);
    case 'base':
      return shape.name === 'hstore' ? { text: 'Record<string, string | null>', isStructure: true } : own;
    default:
      return own;
  }
}

function rangeOf(bound: ColumnType, suffix: '' | '[]'): ColumnType {
  return { ...structure([bound], `PgRange<${bound.text}>${suffix}`), usesRange: true };
}

function composite(
  attributes: (MadeType & { kind: 'composite' })['attributes'],
  within: (part: number) => ColumnType,
): ColumnType {
  const living = attributes.filter((each) => each !== null).map(({ name, oid }) => ({ name, type: within(oid) }));
  const fields = living.map(({ name, type }) => `${propertyName(name)}: ${nullable(type)}`);
  return structure(
    living.map(({ type }) => type),
    fields.length === 0 ? '{}' : `{ ${fields.join('; ')} }`,
  );
}

/** A structure that is made of these. */
function structure(parts: readonly ColumnType[], text: string): ColumnType {
  return {
    text,
    isStructure: true,
    isGiven: parts.some(({ isGiven }) => isGiven === true),
    usesInterval: parts.some(({ usesInterval }) => usesInterval === true),
    usesRange: parts.some(({ usesRange }) => usesRange === true),
  };
}

/** An attribute may always be null. */
function nullable({ text }: ColumnType): string {
  // unknown has null in it already.
  return text === 'unknown' ? text : `${text} | null`;
}

function orNull(type: ColumnType): string {
  return type.text === 'unknown' ? 'unknown' : `(${nullable(type)})`;
}
