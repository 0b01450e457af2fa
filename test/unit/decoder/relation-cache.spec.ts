import { describe, expect, it } from '@jest/globals';
import { OidDatabase } from '#lib/decoder/oid-database.js';
import { RelationCache } from '#lib/decoder/relation-cache.js';
import { relationOf } from './row-samples.js';

describe('RelationCache', () => {
  it('keeps a relation until another of its id comes, and starts out uninterested', () => {
    const cache = new RelationCache({ oids: new OidDatabase() });
    expect(cache.get(1)).toBeUndefined();
    const first = cache.add(relationOf([{ name: 'a' }]));
    expect(cache.get(1)).toBe(first);
    expect(first.interest.mask).toBe(0);
    const second = cache.add(relationOf([{ name: 'a' }, { name: 'b' }]));
    expect(cache.get(1)).toBe(second);
  });

  it('remembers of a table that is described once more that its old rows may lack columns', () => {
    const cache = new RelationCache({ oids: new OidDatabase() });
    const relation = relationOf([{ name: 'a' }]);
    cache.add(relation).isUneven = true;
    expect(cache.add(relation).isUneven).toBe(true);
    expect(cache.add({ ...relation, id: relation.id + 1 }).isUneven).toBe(false);
  });

  it('has the one that was described last as the last one', () => {
    const cache = new RelationCache({ oids: new OidDatabase() });
    const one = { ...relationOf([{ name: 'a' }]), id: 1 };
    const two = { ...relationOf([{ name: 'a' }]), id: 2 };
    cache.add(one);
    cache.add(two);
    cache.add(one);
    expect([...cache.values()].map(({ relation }) => relation.id)).toEqual([2, 1]);
  });

  it('makes a row reader when the first row is read, and only then', () => {
    let asked = 0;
    const cache = new RelationCache({
      oids: new OidDatabase(),
      customTypes: {
        getTypeParser: () => {
          asked++;
          return String;
        },
      },
    });
    const cached = cache.add(relationOf([{ name: 'a' }, { name: 'b' }]));
    expect(asked).toBe(0);
    expect(cached.rows).toBe(cached.rows);
    expect(asked).toBe(2);
  });
});
