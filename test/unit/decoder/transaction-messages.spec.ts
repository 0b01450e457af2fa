import { describe, expect, it } from '@jest/globals';
import { OidDatabase } from '#lib/decoder/oid-database.js';
import { PgOutputDecoder } from '#lib/decoder/pgoutput.decoder.js';
import { RelationCache } from '#lib/decoder/relation-cache.js';
import { DecodeError } from '#lib/errors/decode.error.js';
import {
  begin,
  beginPrepare,
  commitPrepared,
  prepare,
  rollbackPrepared,
  SOME_TIME,
  streamAbort,
  streamCommit,
  streamPrepare,
  streamStart,
  streamStop,
} from '../../support/pgoutput-encoder.js';
import { DecoderUnderTest, RecordingVisitor } from './recording-visitor.js';

const LSN = 0xf000_0001_8000_0002n;
const END = 0xf000_0001_8000_0032n;
const XID = 4_294_967_295;
const GID = 'Übergabe 7';

const read = (message: Buffer): unknown[] => new DecoderUnderTest().decode(message)!;

describe('parts of a transaction in progress', () => {
  it('Stream Start gives the xid and whether it is the first part', () => {
    expect(read(streamStart(XID))).toEqual(['streamStart', { xid: XID, isFirst: true }]);
    expect(read(streamStart(7, false))).toEqual(['streamStart', { xid: 7, isFirst: false }]);
  });

  it('Stream Stop is told', () => {
    expect(read(streamStop())).toEqual(['streamStop']);
  });

  it('Stream Commit gives what Begin and Commit give together', () => {
    expect(read(streamCommit(XID, LSN, END))).toEqual([
      'streamCommit',
      { xid: XID, commitLsn: LSN, endLsn: END, commitTimestamp: SOME_TIME },
    ]);
  });

  it('Stream Abort gives the transaction and the sub-transaction', () => {
    expect(read(streamAbort(XID, 754))).toEqual(['streamAbort', { xid: XID, subXid: 754, abort: null }]);
  });

  it('Stream Abort gives the place too, where version 4 tells it', () => {
    expect(read(streamAbort(7, XID, { lsn: LSN, time: SOME_TIME }))).toEqual([
      'streamAbort',
      { xid: 7, subXid: XID, abort: { lsn: LSN, timestamp: SOME_TIME } },
    ]);
  });
});

describe('two-phase commit', () => {
  const prepared = { prepareLsn: LSN, endLsn: END, prepareTimestamp: SOME_TIME, xid: XID, gid: GID };

  it.each([
    ['beginPrepare', beginPrepare],
    ['prepare', prepare],
    ['streamPrepare', streamPrepare],
  ] as const)('%s gives where it was prepared, and its name', (call, message) => {
    expect(read(message(LSN, END, XID, GID))).toEqual([call, prepared]);
  });

  it('Commit Prepared gives where it was committed, and its name', () => {
    expect(read(commitPrepared(LSN, END, XID, GID))).toEqual([
      'commitPrepared',
      { commitLsn: LSN, endLsn: END, commitTimestamp: SOME_TIME, xid: XID, gid: GID },
    ]);
  });

  it('Rollback Prepared gives where it was prepared and where it was rolled back', () => {
    expect(read(rollbackPrepared(LSN, END, XID, GID))).toEqual([
      'rollbackPrepared',
      {
        prepareEndLsn: LSN,
        rollbackEndLsn: END,
        prepareTimestamp: SOME_TIME,
        rollbackTimestamp: SOME_TIME,
        xid: XID,
        gid: GID,
      },
    ]);
  });
});

it('a decoder of changes alone takes no beginning and no end', () => {
  const oids = new OidDatabase();
  const decoder = new PgOutputDecoder(new RelationCache({ oids }), oids, new RecordingVisitor(), null);
  for (const message of [begin(LSN), streamStop(), streamCommit(1, LSN, END)]) {
    expect(() => decoder.decode(message, 0, message.length)).toThrow(DecodeError);
  }
});
