import { describe, expect, it } from '@jest/globals';
import { LogicalMessageEvent } from '#lib/changes/logical-message.js';
import { TransactionInfo } from '#lib/changes/transaction.js';
import { SOME_TIME } from '../../support/pgoutput-encoder.js';
import { placeAt, transactionAt } from './samples.js';

const CONTENT = { transactional: true, lsn: 0x70n, prefix: 'outbox', content: Buffer.from('{"größe":1}') };

describe('a logical message', () => {
  it('of a transaction has the place and time of its commit', () => {
    const message = new LogicalMessageEvent(transactionAt(0x1_0000_0080n, 'billing'), true, CONTENT, placeAt(0));
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
    const alone = new TransactionInfo('default', 0x70n, 0, new Date(0));
    const message = new LogicalMessageEvent(alone, false, CONTENT, placeAt(0));
    expect(message).toMatchObject({ lsn: '0/70', xid: null, commitTimestamp: null, transactional: false });
    expect(JSON.parse(JSON.stringify(message))).toMatchObject({ lsn: '0/70', xid: null, commitTimestamp: null });
  });
});
