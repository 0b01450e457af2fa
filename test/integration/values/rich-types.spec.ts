import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { DeleteChange, InsertChange } from 'nestjs-pg-listener';
import { createDatabase, type TestDatabase } from '../../support/database.js';
import { difference } from '../../support/values/difference.js';
import { holds, printSeed, PROPERTY_TIMEOUT_MS } from '../../support/values/property.js';
import type { Sample } from '../../support/values/rich-samples.js';
import { RICH_COLUMNS, RICH_TYPES } from '../../support/values/rich-types.js';
import { createTable, VALUE_FORMATS, ValueStream } from '../../support/values/value-stream.js';

printSeed('rich types');

const columns = RICH_COLUMNS.map(([type, samples], index) => ({
  type,
  samples,
  table: { name: `t${index}`, columns: [{ name: 'value', type }] },
}));

/** The oracle is what was generated, and knows nothing of how text is read. */
describe.each(VALUE_FORMATS)(
  "with types: 'rich', a value of the stream is the structure that was written: %s",
  (format) => {
    let db: TestDatabase;
    let stream: ValueStream;

    beforeAll(async () => {
      db = await createDatabase();
      await db.query(RICH_TYPES + columns.map(({ table }) => createTable(table)).join('\n'));
      stream = await ValueStream.open({
        writerUrl: db.url,
        connection: { connectionString: db.url },
        format,
        types: 'rich',
      });
    });

    afterAll(async () => {
      await stream?.close();
      await db?.drop();
    });

    it.each(columns)(
      '$type',
      async ({ table, samples }) => {
        const rows = fc.array(fc.option(samples, { freq: 12 }), { minLength: 1, maxLength: 12 });
        await holds(rows, async (values) => {
          await stream.insert(
            table,
            values.map((each) => [each && each.text]),
          );
          await stream.execute(`DELETE FROM ${table.name}`);
          const changes = await stream.take(2 * values.length);
          // They come as they lie in the table.
          const deletes = changes.slice(values.length) as DeleteChange[];
          const deleted = new Map(deletes.map(({ oldRecord }) => [oldRecord!['id'], oldRecord!]));
          for (const [index, each] of values.entries()) {
            expectValue((changes[index] as InsertChange).record, index, each);
            expectValue(deleted.get(index + 1)!, index, each);
          }
        });
      },
      PROPERTY_TIMEOUT_MS,
    );

    it('in the format that was asked for, to the end', async () => {
      expect(await stream.format()).toBe(format);
    });
  },
);

function expectValue(record: object, index: number, wanted: Sample | null): void {
  const found = difference(record, { id: index + 1, value: wanted && wanted.value }, `of ${wanted?.text}`);
  if (found !== undefined) throw new Error(found);
}
