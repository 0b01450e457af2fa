import { describe, expect, it } from '@jest/globals';
import { rowKeyOf } from '#lib/decoder/row-key.js';
import { RelationCache } from '#lib/decoder/relation-cache.js';
import { OidDatabase } from '#lib/decoder/oid-database.js';
import { UNCHANGED_TOAST, update } from '../../support/pgoutput-encoder.js';
import { relationOf } from './row-samples.js';

const cachedOf = (...keys: string[]) =>
  new RelationCache({ oids: new OidDatabase() }).add(
    relationOf(['a', 'b', 'c'].map((name) => ({ name, isKey: keys.includes(name) }))),
  );
const binary = (...bytes: number[]) => ({ kind: 'b', value: Buffer.from(bytes) }) as const;

describe('the key of a row', () => {
  it.each([
    ['no old row', undefined],
    ['an old key', { kind: 'K', cells: ['old', null, 'é'] }],
    ['an old row', { kind: 'O', cells: [binary(1, 2), UNCHANGED_TOAST, ''] }],
  ] as const)('is of the new one, as it came: with %s', (_what, old) => {
    const message = Buffer.concat([Buffer.alloc(3, 7), update(1, ['ä', UNCHANGED_TOAST, binary(0, 255)], old)]);
    const key = rowKeyOf(cachedOf('a', 'c'), message, 3);
    // The bytes are another message's by and by.
    message.fill(9);
    expect(key).toMatchObject({ names: ['a', 'c'], values: ['ä', Buffer.from([0, 255])] });
  });

  it('is all that was sent, where every column is marked: under FULL', () => {
    const { relation } = cachedOf('a', 'b', 'c');
    const full = new RelationCache({ oids: new OidDatabase() }).add({ ...relation, replicaIdentity: 'full' });
    const message = update(1, ['1', UNCHANGED_TOAST, 'z'], { kind: 'O', cells: ['0', null, null] });
    expect(rowKeyOf(full, message, 0)).toMatchObject({ names: ['a', 'c'], values: ['1', 'z'] });
    expect(rowKeyOf(full, update(1, ['1', UNCHANGED_TOAST, null]), 0)).toMatchObject({ names: ['a'], values: ['1'] });
  });

  it('is none without a replica identity, and where a column of it was not sent', () => {
    const message = update(1, ['1', UNCHANGED_TOAST, null]);
    expect(rowKeyOf(cachedOf(), message, 0)).toBeNull();
    expect(rowKeyOf(cachedOf('a', 'b'), message, 0)).toBeNull();
    expect(rowKeyOf(cachedOf('c'), message, 0)).toBeNull();
  });
});
