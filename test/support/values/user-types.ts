import type { ValueCatalogue } from './catalogue.js';
import { arrayOf, multirangeOf, rangeOf, rowOf } from './containers.js';
import { numberText } from './numbers.js';
import { text } from './texts.js';
import { brief, only, values, type Values } from './values.js';
import fc from 'fast-check';

export const USER_TYPES = `
  CREATE TYPE mood AS ENUM ('sad', 'o k', 'ha"ppy', 'ü{,}b\\er', '🎉', '', 'NULL', '${'x'.repeat(63)}');
  CREATE DOMAIN positive AS int CHECK (VALUE > 0);
  CREATE DOMAIN small AS positive CHECK (VALUE < 1000);
  CREATE DOMAIN short_text AS varchar(20);
  CREATE DOMAIN stamp AS timestamptz;
  CREATE DOMAIN document AS jsonb;
  CREATE DOMAIN bytes AS bytea;
  CREATE DOMAIN int_list AS int[];
  CREATE DOMAIN a_mood AS mood;
  CREATE DOMAIN period AS daterange;
  CREATE TYPE pair AS (number int, "Te xt" text, at timestamptz, tags text[], feeling mood, size small);
  CREATE TYPE nested AS (inside pair, pairs pair[], span tstzrange);
  CREATE DOMAIN a_pair AS pair;
  CREATE TYPE plain_pair AS (number int, "Te xt" text, tags text[], feeling mood, size small, doc jsonb, far float8);
  CREATE TYPE plain_nested AS (inside plain_pair, pairs plain_pair[], span int8range);
  CREATE DOMAIN a_plain_pair AS plain_pair;
  CREATE DOMAIN mood_list AS mood[];
  CREATE EXTENSION citext; CREATE EXTENSION hstore; CREATE EXTENSION ltree; CREATE EXTENSION cube;
  CREATE DOMAIN word AS citext;
  CREATE TYPE text_range AS RANGE (subtype = text, collation = "C");
  CREATE TYPE float_range AS RANGE (subtype = float8, subtype_diff = float8mi);
`;

/** Keys and values of any text: the server puts them in order. */
const hstores = values(
  ['', '"a"=>"1", "b"=>NULL', '"NULL"=>"NULL", ""=>"", "=>"=>"\\"\\\\", "__proto__"=>"x"'],
  fc
    .array(fc.tuple(text, fc.option(text)), { maxLength: 5 })
    .map((pairs) => pairs.map(([key, value]) => `${quote(key)}=>${value === null ? 'NULL' : quote(value)}`).join(',')),
);

function quote(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`;
}

const bytesOf = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

/** Columns of types that users make: enums, domains, composite types, ranges, arrays of each. */
export function userColumns(built: ValueCatalogue): { name: string; values: Values }[] {
  const moods = only('sad', 'o k', 'ha"ppy', 'ü{,}b\\er', '🎉', '', 'NULL', 'x'.repeat(63));
  const positive = values(['1', '999'], fc.integer({ min: 1, max: 999 }).map(String));
  const shortText = values(
    ['', 'NULL', 'é'.repeat(20)],
    text.map((each) => [...each].slice(0, 20).join('')),
  );
  const scalar = (name: string): Values => built.scalar(name);
  const ints = arrayOf(scalar('int4'));
  const texts = brief(scalar('text'), 40);
  const pair = rowOf([scalar('int4'), texts, scalar('timestamptz'), arrayOf(brief(texts, 15)), moods, positive]);
  const nested = rowOf([brief(pair, 3, 1_000), arrayOf(brief(pair, 3, 1_000)), scalar('tstzrange')]);
  const plainPair = rowOf([
    scalar('int4'),
    texts,
    arrayOf(brief(texts, 15)),
    moods,
    positive,
    scalar('jsonb'),
    scalar('float8'),
  ]);
  const plainNested = rowOf([brief(plainPair, 3, 1_000), arrayOf(brief(plainPair, 3, 1_000)), scalar('int8range')]);
  const textRange = rangeOf(text, bytesOf, (each) => each, ['["a,b","c ""d\\\\"]', '(,"")']);
  const floatRange = rangeOf(fc.double({ noNaN: true }), (a, b) => a - b || 0, numberText, [
    '[-Infinity,0.1)',
    '[5e-324,NaN]',
  ]);
  const singles = [
    ['mood', moods],
    ['positive', positive],
    ['small', positive],
    ['short_text', shortText],
    ['stamp', scalar('timestamptz')],
    ['document', scalar('jsonb')],
    ['bytes', scalar('bytea')],
    ['int_list', ints],
    ['a_mood', moods],
    ['period', scalar('daterange')],
    ['pair', brief(pair, 12, 5_000)],
    ['nested', brief(nested, 4, 20_000)],
    ['a_pair', brief(pair, 6, 5_000)],
    ['plain_pair', brief(plainPair, 12, 5_000)],
    ['plain_nested', brief(plainNested, 4, 20_000)],
    ['a_plain_pair', brief(plainPair, 6, 5_000)],
    ['mood_list', arrayOf(moods)],
    ['citext', scalar('text')],
    ['word', scalar('text')],
    ['hstore', hstores],
    ['ltree', only('', 'a', 'Top.Science.Astronomy', 'a_b.1')],
    ['cube', only('(1)', '(1, 2),(3, 4)', '(-0.5, 1e300)')],
    ['text_range', textRange],
    ['float_range', floatRange],
    ['text_multirange', multirangeOf(textRange)],
    ['float_multirange', multirangeOf(floatRange)],
  ] as const;
  return singles.flatMap(([name, values]) => [
    { name, values },
    { name: `${name}[]`, values: arrayOf(values) },
  ]);
}

/** Built-in types with a modifier: padded, cut or rounded by the server. */
export function modifiedColumns(built: ValueCatalogue): { name: string; values: Values }[] {
  const of = (name: string, type: string): { name: string; values: Values } => ({ name, values: built.scalar(type) });
  return [
    of('character(7)', 'bpchar'),
    of('character varying(30)', 'varchar'),
    of('bit(9)', 'bit'),
    of('bit varying(20)', 'varbit'),
    { name: 'numeric(12,5)', values: only('0', '-0.000004', '1234567.123456', '-9999999.99999', 'NaN') },
    { name: 'numeric(3,-2)', values: only('0', '12345', '-99949') },
    of('time(0)', 'time'),
    of('timetz(3)', 'timetz'),
    of('timestamp(3)', 'timestamp'),
    of('timestamptz(0)', 'timestamptz'),
    { name: 'interval second(2)', values: only('1 day 00:00:01.239', '-00:00:59.999') },
    { name: 'interval year to month', values: only('1 year 2 mons 3 days', '-14 mons') },
    { name: 'character(3)[]', values: arrayOf(only('', 'a', 'é"\\', '   ')) },
  ];
}
