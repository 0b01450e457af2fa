import { describe, expect, it } from '@jest/globals';
import { readImage } from '#lib/changes/image-reader.js';
import { TransactionInfo } from '#lib/changes/transaction.js';
import { CatalogueAge } from '#lib/decoder/catalogue-age.js';
import { OidDatabase } from '#lib/decoder/oid-database.js';
import { CachedRelation } from '#lib/decoder/relation-cache.js';
import type { StreamTypes } from '#lib/decoder/stream-types.js';
import { DecodeError } from '#lib/errors/decode.error.js';
import { OutdatedTypeError } from '#lib/errors/replication.error.js';
import type { CompositeAttribute } from '#lib/protocol/made-type.js';
import { insert } from '../../support/pgoutput-encoder.js';
import { readerAt, relationOf } from './row-samples.js';

const PAIR = 20_000;
const DOMAIN = 20_001;
const PLACE = { walHigh: 0, walLow: 0, ordinal: 0, index: 0 };
const attribute = (name: string, oid = 23): CompositeAttribute => ({ name, oid });

function typesOf(attributes: readonly (CompositeAttribute | null)[], age?: CatalogueAge): StreamTypes {
  const oids = new OidDatabase(new Map([[DOMAIN, PAIR]]), new Map([[PAIR, { kind: 'composite', attributes }]]));
  oids.learn({ oid: PAIR, schema: 'shop', name: 'pair' });
  return { oids, rich: true, ...(age && { age }) };
}
const things = (types: StreamTypes): CachedRelation =>
  new CachedRelation(relationOf([{ name: 'value', typeOid: DOMAIN }]), types);

describe('a composite value that is older than an attribute of its type', () => {
  let streamed = 50n;
  const cached = things(
    typesOf([attribute('a'), attribute('b'), attribute('c')], new CatalogueAge(100n, () => streamed)),
  );
  const image = { cached, message: insert(1, ['(1,2)']) };
  const kept = (commitLsn: bigint): unknown =>
    readImage(image, new TransactionInfo('default', commitLsn, 7, new Date(0)), PLACE);
  const record = { value: { a: 1, b: 2, c: null } };

  it('is read from the disk by when its own transaction was committed, whatever the stream brings', () => {
    for (streamed of [50n, 100n, 101n]) expect(kept(100n)).toMatchObject({ record });
    for (streamed of [50n, 101n]) expect(() => kept(101n)).toThrow(OutdatedTypeError);
  });

  it('is read from the stream by when that was committed, also after one from the disk', () => {
    streamed = 101n;
    expect(kept(100n)).toMatchObject({ record });
    expect(() => cached.rows.row(readerAt(['(1,2)']))).toThrow(OutdatedTypeError);
    streamed = 100n;
    expect(() => kept(101n)).toThrow(OutdatedTypeError);
    expect(cached.rows.row(readerAt(['(1,2)']))).toEqual(record);
  });
});

describe('a composite value that nobody can tell the attributes of', () => {
  const fault = (typeOid: number, types: StreamTypes): DecodeError => {
    const { rows } = new CachedRelation(relationOf([{ name: 'value', typeOid }]), types);
    try {
      rows.row(readerAt(['(1,2,3)']));
    } catch (error) {
      expect(error).toBeInstanceOf(DecodeError);
      return error as DecodeError;
    }
    throw new Error('it was read');
  };

  it('names the type, and tells how to read on', () => {
    const { message, hint } = fault(DOMAIN, typesOf([null, null, attribute('c'), attribute('d')]));
    expect(message).toContain('public.things, column "value": 3 attributes in a value of the composite type shop.pair');
    expect(message).toContain('which has 2 by now, and 2 dropped ones');
    expect(hint).toContain(`parsers: { 'shop.pair': (text) => ... }`);
    expect(hint).toContain('SELECT 20000::regtype;');
    expect(hint).not.toContain('please report');
    expect(message).not.toContain('(1,2,3)');
  });

  it('names its oid where the server has not told the name: within another type', () => {
    const oids = new OidDatabase(
      undefined,
      new Map([[PAIR, { kind: 'composite', attributes: [null, null, null, attribute('d')] }]]),
    );
    const { message, hint } = fault(PAIR, { oids, rich: true });
    expect(message).toContain('the composite type oid 20000, which');
    expect(hint).toContain(`parsers: { '20000': (text) => ... }`);
  });
});
