import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { keysOverlap } from '#lib/changes/parking.js';
import { ParkedIndex } from '#lib/events/parked/parked-index.js';
import { WHOLE_TABLE } from '#lib/interfaces/parked-store.interface.js';

interface Entry {
  readonly schema: string | null;
  readonly table: string | null;
  readonly keys: readonly string[];
}

const TABLES = ['orders', 'items', 'shop.orders'];
const tableOf = (name: string) =>
  name.includes('.') ? { schema: 'shop', table: 'orders' } : { schema: 'public', table: name };
const someKeys = fc.oneof(
  { weight: 1, arbitrary: fc.constant([WHOLE_TABLE]) },
  { weight: 6, arbitrary: fc.uniqueArray(fc.constantFrom('1', '2', '3', '4'), { minLength: 1, maxLength: 2 }) },
);
const entry = fc.oneof(
  { weight: 8, arbitrary: fc.record({ table: fc.constantFrom(...TABLES), keys: someKeys }) },
  { weight: 1, arbitrary: fc.constant(null) },
);
const steps = fc.array(fc.record({ add: fc.boolean(), entry, which: fc.nat() }), { maxLength: 40 });

describe('the index of parked keys', () => {
  it('holds what a look at everything that is parked would hold', () => {
    fc.assert(
      fc.property(steps, someKeys, (all, asked) => {
        const index = new ParkedIndex();
        const model: Entry[] = [];
        for (const { add, entry: given, which } of all) {
          if (add || model.length === 0) {
            const added: Entry =
              given === null ? { schema: null, table: null, keys: [] } : { ...tableOf(given.table), keys: given.keys };
            index.add(added);
            model.push(added);
          } else {
            index.remove(model.splice(which % model.length, 1)[0]!);
          }
          expect(index.size).toBe(model.length);
          for (const name of TABLES) {
            const place = tableOf(name);
            const isHeld = model.some(
              (each) => each.schema === place.schema && each.table === place.table && keysOverlap(each.keys, asked),
            );
            expect(index.holds(place, asked)).toBe(isHeld);
          }
        }
      }),
      { numRuns: 500 },
    );
  });
});
