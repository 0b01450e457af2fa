import { describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { readsAsNodePostgres, type OwnParser } from '#lib/decoder/binary/own-parsers.js';

const parser = (oid: number): ((text: string) => unknown) => pg.types.getTypeParser(oid as never, 'text');
const isoDate = parser(1184);

describe("readsAsNodePostgres takes node-postgres' own parsers for what they are", () => {
  it.each<[OwnParser, number[]]>([
    ['bool', [16]],
    ['bytea', [17]],
    ['integer', [21, 23, 26]],
    ['float', [700, 701]],
    ['date', [1082, 1114, 1184]],
    ['dateArray', [1115, 1182, 1185]],
  ])('%s', (own, oids) => {
    expect(oids.map((oid) => readsAsNodePostgres(own, parser(oid)))).toEqual(oids.map(() => true));
  });
});

describe('readsAsNodePostgres tells those of an application apart', () => {
  class Moment extends Date {}
  it.each<[string, OwnParser, (text: string) => unknown]>([
    ['text as it is', 'date', (text) => text],
    ["JavaScript's own dates", 'date', (text) => new Date(text)],
    ['a class of its own', 'date', (text) => new Moment((isoDate(text) as Date).getTime())],
    ['null for infinity', 'date', (text) => (text.includes('infinity') ? null : isoDate(text))],
    ['milliseconds', 'date', (text) => Number(isoDate(text))],
    ['dates of arrays as text', 'dateArray', (text) => text],
    ['Number', 'integer', Number],
    ['BigInt, which throws', 'integer', BigInt],
    ['Number of a float', 'float', Number],
    ['0 and 1', 'bool', (text) => (text === 't' ? 1 : 0)],
    ['hex', 'bytea', (text) => text.slice(2)],
    ['bytes of another class', 'bytea', (text) => new Uint8Array(parser(17)(text) as Buffer)],
  ])('%s', (_, own, parse) => {
    expect(readsAsNodePostgres(own, parse)).toBe(false);
  });
});
