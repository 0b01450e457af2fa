import type { CustomTypes, TextParser } from '../../types/type-parsers.js';

const asText: TextParser = (text) => text;

/** For people: every value as PostgreSQL writes it, to the last digit and microsecond. */
export const TEXTS: CustomTypes = { getTypeParser: () => asText };

const toNumber: TextParser = (text) => {
  const number = Number(text);
  return Number.isFinite(number) ? number : text;
};

/** bool, int2, int4, oid, float4, float8, json, jsonb (pg_type.oid). */
const PARSERS: ReadonlyMap<number, TextParser> = new Map([
  [16, (text) => text === 't'],
  [21, toNumber],
  [23, toNumber],
  [26, toNumber],
  [700, toNumber],
  [701, toNumber],
  [114, (text) => JSON.parse(text) as unknown],
  [3802, (text) => JSON.parse(text) as unknown],
]);

/** For programs: what JSON can hold as what it is, everything else as PostgreSQL writes it. */
export const JSON_VALUES: CustomTypes = { getTypeParser: (oid) => PARSERS.get(oid) ?? asText };
