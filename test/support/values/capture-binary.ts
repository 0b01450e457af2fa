/**
 * Writes test/fixtures/binary/values.json: values of every built-in type in their binary form and as text, as a real
 * server has them. After `npm run build:test`:
 *
 *     node build/test/support/values/capture-binary.js
 */
import { writeFileSync } from 'node:fs';
import { startPostgres } from 'nestjs-pg-listener/testing';
import { withClient } from '../database.js';
import { fallsBack, ValueCatalogue } from './catalogue.js';
import { brief } from './values.js';

/** Enough to show each way of writing; whole catalogues are compared in test/integration/values. */
const VALUES_OF_A_TYPE = 16;
const LONGEST = 120;
/** What the output function writes; a cast to text is another thing. */
const AS_TEXT = { getTypeParser: () => (text: string) => text };

/** One type: its oid, and of each value the bytes in hex and the text. */
export interface CapturedType {
  readonly name: string;
  readonly oid: number;
  readonly values: readonly (readonly [string, string])[];
}

const server = await startPostgres();
try {
  const captured = await withClient(server.url, async (client) => {
    await client.query(`SET TimeZone = 'UTC'; SET extra_float_digits = 1; SET bytea_output = 'hex'`);
    const found: CapturedType[] = [];
    for (const { name, type, values } of (await ValueCatalogue.of(client)).columns) {
      if (fallsBack({ name }) || name === 'aclitem') continue;
      const { rows } = await client.query<{ oid: number; send: string }>(
        `SELECT oid::int AS oid, typsend::text AS send FROM pg_type WHERE oid = '${type}'::regtype`,
      );
      const { oid, send } = rows[0]!;
      // refcursor has that of text.
      const value = send === 'textsend' ? `x::${type}::text` : `x::${type}`;
      const { examples } = brief(values, VALUES_OF_A_TYPE, LONGEST);
      const sent = await client.query<{ hex: string; text: string }>({
        text: `SELECT encode(${send}(${value}), 'hex') AS hex, x::${type} AS text FROM unnest($1::text[]) x`,
        values: [examples],
        types: AS_TEXT,
      });
      found.push({ name, oid, values: sent.rows.map(({ hex, text }) => [hex, text] as const) });
    }
    return found;
  });
  writeFileSync('test/fixtures/binary/values.json', `${JSON.stringify(captured, null, 1)}\n`);
} finally {
  await server.stop('immediate');
}
