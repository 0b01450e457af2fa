import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { tuple } from '../../support/pgoutput-encoder.js';
import { packageRoot } from '../package-root.js';
import { readerAt, rowReaderOf } from './row-samples.js';

const COLUMNS = [
  { name: 'id', typeOid: 23, typeModifier: -1, isKey: true },
  { name: '__proto__', typeOid: 25, typeModifier: -1, isKey: false },
  { name: 'data', typeOid: 3802, typeModifier: -1, isKey: false },
  { name: 'nothing', typeOid: 25, typeModifier: -1, isKey: false },
];
const CELLS = ['7', 'größer 🐘', '{"a":[1,null]}', null];

/** Reads the row in a process of its own. */
const PROGRAM = `
  import { RowReader } from '#lib/decoder/row-reader.js';
  import { OidDatabase } from '#lib/decoder/oid-database.js';
  import { ByteReader } from '#lib/protocol/byte-reader.js';
  let canGenerate = true;
  try { new Function('return 1'); } catch (error) { canGenerate = !(error instanceof EvalError); }
  const { columns, bytes } = JSON.parse(process.env.SAMPLE);
  const relation = { id: 1, schema: 'public', table: 'things', replicaIdentity: 'default', columns };
  const buffer = Buffer.from(bytes, 'base64');
  const rows = new RowReader(relation, { oids: new OidDatabase() });
  const row = rows.row(new ByteReader().reset(buffer, 0, buffer.length, 'Insert'));
  process.stdout.write(JSON.stringify({ canGenerate, entries: Object.entries(row) }));
`;

async function readInChild(...flags: string[]): Promise<unknown> {
  const sample = JSON.stringify({ columns: COLUMNS, bytes: tuple(CELLS).toString('base64') });
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, '--input-type=module', '--eval', PROGRAM], {
    cwd: packageRoot(),
    env: { ...process.env, NODE_OPTIONS: '', SAMPLE: sample },
  });
  return JSON.parse(stdout);
}

describe('a process that forbids code generation', () => {
  it('reads the same row as one that allows it', async () => {
    const entries = Object.entries(rowReaderOf(COLUMNS).row(readerAt(CELLS)));
    expect(await readInChild('--disallow-code-generation-from-strings')).toEqual({ canGenerate: false, entries });
    expect(await readInChild()).toEqual({ canGenerate: true, entries });
  });
});
