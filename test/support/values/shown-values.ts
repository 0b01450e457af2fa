import { WITHOUT_VALUES, type ValueCatalogue } from './catalogue.js';

/** A type with the value that the page of types shows. */
export interface ShownValue {
  readonly type: string;
  /** As text that its input function takes. */
  readonly text: string;
}

/** Where the longest of the tests' own values is not the one that says most. */
const TELLING: Readonly<Record<string, string>> = {
  bool: 't',
  char: 'a',
  name: 'orders',
  text: 'any text',
  varchar: 'any text',
  bpchar: 'padded   ',
  refcursor: 'cursor',
  bytea: '\\x00ff41',
  float4: '0.1',
  float8: '0.30000000000000004',
  numeric: '123456789012345678901234567890.10',
  int8: '9007199254740993',
  date: '2026-02-03',
  time: '04:05:06.789',
  timetz: '04:05:06.789+05:30',
  timestamp: '2026-02-03 04:05:06.789',
  timestamptz: '2026-02-03 04:05:06.789+00',
  interval: '1 year 2 mons -3 days 04:05:06.789',
  json: '{"b":  1, "a": null}',
  jsonb: '{"b":  1, "a": null}',
  jsonpath: '$."a"[*]?(@ > 1)',
  xml: '<a b="c"/>',
  tsvector: `'cat':5 'fat':2B,4`,
  tsquery: `'fat' & !'dog'`,
  bit: '10110',
  varbit: '10110',
  uuid: '7d444840-9dc0-11d1-b245-5ffdce74fad2',
  money: '12.34',
  inet: '192.168.0.1/24',
  cidr: '10.0.0.0/8',
  path: '[(0,0),(1,1)]',
  polygon: '((0,0),(1,1),(2,0))',
  point: '(1.5,-2)',
  circle: '<(1.5,-2),3>',
  xid: '42',
  xid8: '42',
  cid: '42',
  oid: '2205',
  aclitem: 'postgres=r/postgres',
  pg_lsn: '16/B374D848',
  oidvector: '26 23',
  regclass: 'information_schema.tables',
  regtype: 'timestamp with time zone',
  regproc: 'pg_sleep',
  regprocedure: 'sum(integer)',
  regoper: '||/',
  regoperator: '*(integer,integer)',
  regrole: 'postgres',
  regnamespace: 'pg_catalog',
  regconfig: 'english',
  regdictionary: 'simple',
  regcollation: '"C"',
  int4range: '[1,10)',
  int8range: '[1,10)',
  numrange: '[-1.10,2.20)',
  daterange: '[2026-01-01,infinity)',
  tsrange: '[2026-01-01 00:00:00,)',
  tstzrange: '[2026-01-01 00:00:00+00,)',
};

const LONGEST = 60;

/** Of each built-in type of a server: those that are of themselves, ranges and multiranges, arrays. */
export function builtInValues(catalogue: ValueCatalogue): Record<'scalars' | 'ranges' | 'arrays', ShownValue[]> {
  const shown: Record<'scalars' | 'ranges' | 'arrays', ShownValue[]> = { scalars: [], ranges: [], arrays: [] };
  const known = new Map(catalogue.types.map((type) => [type.name, type]));
  const textOf = (name: string): string | undefined => {
    const { element, delimiter, range } = known.get(name)!;
    if (name in WITHOUT_VALUES) return undefined;
    if (element !== null) {
      const inner = textOf(element);
      return inner && `{"${inner.replace(/["\\]/g, '\\$&')}"${delimiter}NULL}`;
    }
    if (range !== null) return `{${TELLING[range]}}`;
    return TELLING[name] ?? longest(catalogue.scalar(name).examples);
  };
  for (const { name, type } of catalogue.columns) {
    const text = textOf(name);
    if (text === undefined) continue;
    const kind = known.get(name)!.element !== null ? 'arrays' : name.endsWith('range') ? 'ranges' : 'scalars';
    shown[kind].push({ type, text });
  }
  return shown;
}

/** The first of the longest that can be printed. */
function longest(examples: readonly string[]): string {
  const printable = examples.filter((each) => each.length <= LONGEST && /^[ -~]*$/.test(each));
  return printable.reduce((best, each) => (each.length > best.length ? each : best), '');
}

/** Types that users make, and those of extensions. */
export const SHOWN_TYPES = `
  CREATE EXTENSION hstore; CREATE EXTENSION citext; CREATE EXTENSION ltree; CREATE EXTENSION cube;
  CREATE TYPE mood AS ENUM ('sad', 'ok');
  CREATE DOMAIN percent AS int CHECK (VALUE <= 100);
  CREATE DOMAIN moods AS mood[];
  CREATE TYPE item AS (name text, price numeric, mood mood, since timestamptz);
  CREATE TYPE basket AS (items item[], percents percent[], labels hstore);
  CREATE DOMAIN a_basket AS basket;
  CREATE TYPE float_range AS RANGE (subtype = float8);
`;

const ITEM = '(pen,1.50,ok,"2026-02-03 04:05:06+00")';
const BASKET = '("{""(pen,1.50,,)""}","{5,NULL}","""a""=>NULL")';

export const SHOWN_USER_VALUES: readonly (ShownValue & { readonly kind: string })[] = [
  { kind: 'enum', type: 'mood', text: 'ok' },
  { kind: 'array of an enum', type: 'mood[]', text: '{ok,NULL}' },
  { kind: 'domain over integer', type: 'percent', text: '5' },
  { kind: 'array of a domain', type: 'percent[]', text: '{5,NULL}' },
  { kind: 'domain over an array', type: 'moods', text: '{ok}' },
  { kind: 'composite type with a timestamptz', type: 'item', text: ITEM },
  { kind: 'array of a composite type', type: 'item[]', text: '{"(pen,1.50,,)",NULL}' },
  { kind: 'composite type, nested', type: 'basket', text: BASKET },
  { kind: 'domain over a composite type', type: 'a_basket', text: '(,,)' },
  { kind: 'range', type: 'float_range', text: '[1.5,)' },
  { kind: 'array of ranges', type: 'float_range[]', text: '{"[1.5,2)",empty}' },
  { kind: 'multirange', type: 'float_multirange', text: '{[1,2),[3,)}' },
  { kind: 'hstore', type: 'hstore', text: '"a"=>"1", "b"=>NULL' },
  { kind: 'hstore[]', type: 'hstore[]', text: '{"\\"a\\"=>\\"1\\""}' },
  { kind: 'citext', type: 'citext', text: 'Any Text' },
  { kind: 'citext[]', type: 'citext[]', text: '{Any,NULL}' },
  { kind: 'ltree', type: 'ltree', text: 'Top.Science' },
  { kind: 'any other type of an extension (cube)', type: 'cube', text: '(1, 2),(3, 4)' },
];
