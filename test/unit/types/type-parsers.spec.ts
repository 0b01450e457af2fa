import { afterEach, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { columnParser } from '#lib/types/type-parsers.js';

const TEXT = 25;
const INT4 = 23;

describe('columnParser', () => {
  const original = pg.types.getTypeParser(TEXT, 'text');
  afterEach(() => pg.types.setTypeParser(TEXT, original));

  it('gives the very parser that node-postgres uses for a query', () => {
    for (const oid of [16, 20, 23, 114, 1184, 1009, 60_000]) {
      expect(columnParser(oid).parse).toBe(pg.types.getTypeParser(oid as never, 'text'));
    }
  });

  it('says that text without a parser of its own comes unchanged', () => {
    expect(columnParser(TEXT)).toMatchObject({ identity: true, ascii: false });
    expect(columnParser(60_000)).toMatchObject({ identity: true, ascii: false });
    expect(columnParser(INT4)).toMatchObject({ identity: false, ascii: true });
  });

  it('asks anew each time, so that a parser set later counts for the next relation', () => {
    const shout = (text: string) => text.toUpperCase();
    pg.types.setTypeParser(TEXT, shout);
    expect(columnParser(TEXT)).toEqual({ parse: shout, identity: false, ascii: false });
  });

  it("prefers the connection's own types", () => {
    const mine = (text: string) => [text];
    expect(columnParser(INT4, { getTypeParser: () => mine })).toMatchObject({ parse: mine, identity: false });
  });

  it('takes no type for ASCII whose text can hold other characters', () => {
    // 1184: timestamptz can end in the name of a zone, which a user can make up.
    const textual = [18, 19, 25, 114, 142, 1042, 1043, 1184, 3802, 3614, 1009, 1015, 790, 60_000];
    expect(textual.filter((oid) => columnParser(oid).ascii)).toEqual([]);
  });
});
