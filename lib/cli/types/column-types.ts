/** What a row's column gives to TypeScript. */
export interface ColumnType {
  /** A type that can stand in a union. */
  readonly text: string;
  /** The result of node-postgres for an interval, whose type has to be written out. */
  readonly usesInterval?: boolean;
  /** It says `PgRange`. */
  readonly usesRange?: boolean;
  /** With `types: 'rich'`: it is made of what node-postgres leaves as text. */
  readonly isStructure?: boolean;
  /** It was given, or has in it what was: an array of it is read by element then. */
  readonly isGiven?: boolean;
}

/** A type of the database, as far as it counts. */
export interface DatabaseType {
  readonly oid: number;
  /** pg_type.typtype: b base, c composite, d domain, e enum, p pseudo, r range, m multirange. */
  readonly kind: string;
  /** oid of the type below a domain; 0: it is none. */
  readonly base: number;
  /** Values of an enum, in their order. */
  readonly labels: readonly string[];
}

const INTERVAL = 'PgInterval';
const POINT = '{ x: number; y: number }';

/** What the parsers of node-postgres give, by pg_type.oid; every other type is handed over as its text. */
const SCALARS: Readonly<Record<number, string>> = {
  16: 'boolean',
  17: 'Buffer',
  20: 'string', // int8: beyond what a number can hold
  21: 'number',
  23: 'number',
  26: 'number', // oid
  114: 'unknown', // json
  600: POINT,
  700: 'number',
  701: 'number',
  718: '{ x: number; y: number; radius: number }',
  1082: 'Date', // date
  1114: 'Date', // timestamp
  1184: 'Date', // timestamptz
  1186: INTERVAL,
  3802: 'unknown', // jsonb
};

/** Of the array types that it parses, those of the elements. numeric[] gives numbers, where numeric gives text. */
const ELEMENTS: Readonly<Record<number, string>> = {
  199: 'unknown', // json[]
  651: 'string', // cidr[]
  791: 'string', // money[]
  1000: 'boolean',
  1001: 'Buffer',
  1005: 'number', // int2[]
  1007: 'number', // int4[]
  1008: 'string',
  1009: 'string', // text[]
  1014: 'string', // bpchar[]
  1015: 'string', // varchar[]
  1016: 'string', // int8[]
  1017: POINT,
  1021: 'number', // float4[]
  1022: 'number', // float8[]
  1028: 'number', // oid[]
  1040: 'string', // macaddr[]
  1041: 'string', // inet[]
  1115: 'Date', // timestamp[]
  1182: 'Date', // date[]
  1183: 'string', // time[]
  1185: 'Date', // timestamptz[]
  1187: INTERVAL,
  1231: 'number', // numeric[]
  1270: 'string', // timetz[]
  2951: 'string', // uuid[]
  3807: 'unknown', // jsonb[]
  3907: 'string', // numrange[]
};

/** TypeScript of types that a parser of the application's own reads, by oid. */
export type GivenTypes = ReadonlyMap<number, string>;

const NONE_GIVEN: GivenTypes = new Map();

/** What was given for a type; a domain's own wins over that of its base type. */
export function givenType(
  oid: number,
  types: ReadonlyMap<number, DatabaseType>,
  given: GivenTypes,
): ColumnType | undefined {
  const text = given.get(oid);
  if (text !== undefined) return { text, isGiven: true };
  const type = types.get(oid);
  return type?.kind === 'd' ? givenType(type.base, types, given) : undefined;
}

/**
 * The TypeScript of a column, as node-postgres gives its values with the parsers that it comes with. The server tells it
 * the base type of a domain, and of nothing else: an array of a domain or of an enum stays text.
 */
export function columnType(
  oid: number,
  types: ReadonlyMap<number, DatabaseType>,
  given: GivenTypes = NONE_GIVEN,
): ColumnType {
  const own = givenType(oid, types, given);
  if (own !== undefined) return own;
  const base = baseOf(oid, types);
  const scalar = SCALARS[base];
  if (scalar !== undefined) return { text: scalar, usesInterval: scalar === INTERVAL };
  const element = ELEMENTS[base];
  if (element === 'unknown') return { text: 'unknown[]' };
  if (element !== undefined) return { text: `(${element} | null)[]`, usesInterval: element === INTERVAL };
  const type = types.get(base);
  if (type?.kind === 'e' && type.labels.length > 0) return { text: type.labels.map(literal).join(' | ') };
  return { text: 'string' };
}

/** Of a domain, what it is over at last. */
export function baseOf(oid: number, types: ReadonlyMap<number, DatabaseType>): number {
  const type = types.get(oid);
  return type === undefined || type.kind !== 'd' ? oid : baseOf(type.base, types);
}

/** A name that can stand as a property without quotes. */
const PLAIN_NAME = /^[A-Za-z_$][\w$]*$/;

export function propertyName(name: string): string {
  return PLAIN_NAME.test(name) ? name : literal(name);
}

/** A text as TypeScript writes it, with single quotes as prettier does. */
export function literal(text: string): string {
  const inner = JSON.stringify(text).slice(1, -1).replaceAll('\\"', '"').replaceAll("'", "\\'");
  return `'${inner.replaceAll('\u2028', '\\u2028').replaceAll('\u2029', '\\u2029')}'`;
}

/** The type whose name stands for what node-postgres makes of an interval (`postgres-interval`). */
export const INTERVAL_DECLARATION = `/** What node-postgres makes of an interval: parts that are 0 are absent. */
interface ${INTERVAL} {
  years?: number;
  months?: number;
  days?: number;
  hours?: number;
  minutes?: number;
  seconds?: number;
  milliseconds?: number;
  toPostgres(): string;
  toISO(): string;
  toISOString(): string;
}`;
