import {
  arraySamples,
  byBytes,
  byNumber,
  byTime,
  compositeSamples,
  hstoreSamples,
  multirangeSamples,
  rangeSamples,
  SCALARS,
  type Sample,
  type Samples,
} from './rich-samples.js';

/** Types that users make, of each other; and those of three extensions. */
export const RICH_TYPES = `
  CREATE EXTENSION hstore; CREATE EXTENSION citext; CREATE EXTENSION ltree;
  CREATE TYPE mood AS ENUM ('sad', 'o k', 'ha"ppy', 'ü{,}b\\er', '🎉', '', 'NULL', 'null', '(', ' ');
  CREATE DOMAIN small AS int CHECK (VALUE < 1000);
  CREATE DOMAIN amount AS numeric;
  CREATE DOMAIN moods AS mood[];
  CREATE DOMAIN names AS citext;
  CREATE TYPE text_range AS RANGE (subtype = text, collation = "C");
  CREATE TYPE float_range AS RANGE (subtype = float8, subtype_diff = float8mi);
  CREATE TYPE pair AS ("Te xt" text, number int, "__proto__" small, amount amount, "2" mood, tags text[], doc jsonb,
    bytes bytea, big int8, yes bool);
  CREATE DOMAIN a_pair AS pair;
  CREATE DOMAIN pairs AS pair[];
  CREATE TYPE one AS ("only" text);
  CREATE TYPE nested AS (inside pair, list pair[], span tstzrange, spans text_multirange, moods mood[], boxes box[],
    store hstore, small small, a a_pair, deep pairs, word names, path ltree, at timestamptz);
  CREATE DOMAIN period AS daterange;
  CREATE TYPE pair_range AS RANGE (subtype = one);
`;

const { int, int8, numeric, float8, bool, text, timestamptz, date, bytea, jsonb, mood, small, citext, ltree, box } =
  SCALARS;
const pair = compositeSamples([
  ['Te xt', text],
  ['number', int],
  ['__proto__', small],
  ['amount', numeric],
  ['2', mood],
  ['tags', arraySamples(text)],
  ['doc', jsonb],
  ['bytes', bytea],
  ['big', int8],
  ['yes', bool],
]);
const one = compositeSamples([['only', text]]);
/** As the server compares rows: null is more than any text. */
const byOnly = (a: Sample, b: Sample): number => {
  const [x, y] = [a, b].map(({ value }) => (value as { only: string | null }).only) as [string | null, string | null];
  if (x === null || y === null) return Number(x === null) - Number(y === null);
  return Buffer.compare(Buffer.from(x), Buffer.from(y));
};
const textRange = rangeSamples(text, byBytes);
const tstzRange = rangeSamples(timestamptz, byTime);
const textMultirange = multirangeSamples(text, byBytes);
const nested = compositeSamples([
  ['inside', pair],
  ['list', arraySamples(pair)],
  ['span', tstzRange],
  ['spans', textMultirange],
  ['moods', arraySamples(mood)],
  ['boxes', arraySamples(box, ';')],
  ['store', hstoreSamples],
  ['small', small],
  ['a', pair],
  ['deep', arraySamples(pair)],
  ['word', citext],
  ['path', ltree],
  ['at', timestamptz],
]);

/** Columns by their types. */
export const RICH_COLUMNS: readonly (readonly [type: string, samples: Samples])[] = [
  ['mood', mood],
  ['mood[]', arraySamples(mood)],
  ['moods', arraySamples(mood)],
  ['moods[]', arraySamples(arraySamples(mood))],
  ['small', small],
  ['small[]', arraySamples(small)],
  ['amount[]', arraySamples(numeric)],
  ['pair', pair],
  ['pair[]', arraySamples(pair)],
  ['a_pair', pair],
  ['a_pair[]', arraySamples(pair)],
  ['pairs', arraySamples(pair)],
  ['one', one],
  ['one[]', arraySamples(one)],
  ['nested', nested],
  ['nested[]', arraySamples(nested)],
  ['int4range', rangeSamples(int, byNumber, true)],
  ['int4range[]', arraySamples(rangeSamples(int, byNumber, true))],
  ['numrange[]', arraySamples(rangeSamples(numeric, (a, b) => Number(a.value) - Number(b.value)))],
  ['daterange', rangeSamples(date, byTime, true)],
  ['period', rangeSamples(date, byTime, true)],
  ['tstzrange', tstzRange],
  ['tstzrange[]', arraySamples(tstzRange)],
  ['text_range', textRange],
  ['text_range[]', arraySamples(textRange)],
  ['float_range', rangeSamples(float8, byNumber)],
  ['pair_range', rangeSamples(one, byOnly)],
  ['int4multirange', multirangeSamples(int, byNumber)],
  ['tstzmultirange', multirangeSamples(timestamptz, byTime)],
  ['text_multirange', textMultirange],
  ['text_multirange[]', arraySamples(textMultirange)],
  ['hstore', hstoreSamples],
  ['hstore[]', arraySamples(hstoreSamples)],
  ['citext', citext],
  ['citext[]', arraySamples(citext)],
  ['names[]', arraySamples(citext)],
  ['ltree', ltree],
  ['ltree[]', arraySamples(ltree)],
  ['box', box],
  ['box[]', arraySamples(box, ';')],
];
