import { describe, expect, it } from '@jest/globals';
import { LogicalMessageEvent } from '#lib/changes/logical-message.js';
import { SOME_TIME } from '../../support/pgoutput-encoder.js';
import { HISTORY } from '../../support/history.js';
import { transactionAt } from './samples.js';

const CONTENT = { transactional: true, lsn: 0x70n, prefix: 'outbox', content: Buffer.from('{"größe":1}') };

describe('a logical message', () => {
  it('of a transaction has the place and time of its commit', () => {
    const message = new LogicalMessageEvent(transactionAt(0x1_0000_0080n, 'billing'), CONTENT);
    expect(message.toJSON()).toStrictEqual({
      app: 'billing',
      prefix: 'outbox',
      text: '{"größe":1}',
      transactional: true,
      lsn: '1/80',
      xid: 733,
      commitTimestamp: SOME_TIME,
    });
    expect(message.content).toEqual(CONTENT.content);
  });

  it('outside of a transaction has its own LSN, and no xid or commit time', () => {
    const message = LogicalMessageEvent.alone('default', { ...CONTENT, transactional: false }, HISTORY);
    expect(message).toMatchObject({
      lsn: '0/70',
      xid: null,
      commitTimestamp: null,
      transactional: false,
      history: HISTORY,
    });
    expect(JSON.parse(JSON.stringify(message))).toMatchObject({ lsn: '0/70', xid: null, commitTimestamp: null });
  });

  it('stands in its own record: the server tells where that ends, and a row or a commit may begin there', () => {
    const inside = new LogicalMessageEvent(transactionAt(0x70n), CONTENT);
    const alone = LogicalMessageEvent.alone('default', { ...CONTENT, transactional: false }, HISTORY);
    expect(inside).toMatchObject({ commitLsn: 0x70n, walHigh: 0, walLow: 0x6f, ordinal: 0 });
    expect(alone).toMatchObject({ commitLsn: 0x6fn, walHigh: 0, walLow: 0x6f, ordinal: 0 });
  });
});
