import { describe, expect, it } from '@jest/globals';
import { OidDatabase } from '#lib/decoder/oid-database.js';

describe('OidDatabase', () => {
  it('takes a type that is no domain for its own base type', () => {
    expect(new OidDatabase().baseTypeOid(23)).toBe(23);
  });

  it('follows domains over domains down to the base type', () => {
    const oids = new OidDatabase(
      new Map([
        [3, 2],
        [2, 1],
        [1, 25],
      ]),
    );
    expect([3, 2, 1, 25].map((oid) => oids.baseTypeOid(oid))).toEqual([25, 25, 25, 25]);
  });

  it('comes to an end even where the catalogue were a circle', () => {
    const oids = new OidDatabase(
      new Map([
        [1, 2],
        [2, 1],
      ]),
    );
    expect([1, 2]).toContain(oids.baseTypeOid(1));
  });

  it('knows the names that the server has told, the latest one', () => {
    const oids = new OidDatabase();
    expect(oids.nameOf(9)).toBeUndefined();
    oids.learn({ oid: 9, schema: 'shop', name: 'mood' });
    oids.learn({ oid: 9, schema: 'shop', name: 'temper' });
    expect(oids.nameOf(9)).toBe('shop.temper');
  });
});

it('tells what a type is over, itself first', () => {
  const oids = new OidDatabase(
    new Map([
      [3, 2],
      [2, 1],
      [1, 25],
    ]),
  );
  expect([3, 25].map((oid) => oids.chainOf(oid))).toEqual([[3, 2, 1, 25], [25]]);
});
