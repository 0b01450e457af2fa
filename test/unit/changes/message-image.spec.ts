import { describe, expect, it } from '@jest/globals';
import { LogicalMessageEvent } from '#lib/changes/logical-message.js';
import { messageImage, readMessageImage } from '#lib/changes/message-image.js';
import { DecodeError } from '#lib/errors/decode.error.js';
import { logicalMessage } from '../../support/pgoutput-encoder.js';
import { transactionAt } from './samples.js';

const LSN = 0x16_b374_d848n;

function eventOf(transactional: boolean, prefix: string, content: Buffer): LogicalMessageEvent {
  return new LogicalMessageEvent(transactionAt(LSN), { transactional, lsn: LSN, prefix, content });
}

describe('the image of a logical message', () => {
  it.each([
    [true, 'outbox', Buffer.from('{"a":1}')],
    [false, 'öutbox 🐘', Buffer.from([0, 255, 0x80])],
    [false, '', Buffer.alloc(0)],
  ])('is what the server writes, and is read again: %s, %j', (transactional, prefix, content) => {
    const event = eventOf(transactional, prefix, content);
    const image = messageImage(event);
    expect(image).toEqual(logicalMessage(transactional, LSN, prefix, content));
    expect(readMessageImage(image, event.transaction)).toEqual(event);
  });

  it.each([
    ['nothing', Buffer.alloc(0)],
    ['another message', Buffer.from('I')],
    ['half of it', messageImage(eventOf(true, 'a', Buffer.from('b'))).subarray(0, -1)],
    ['more than it', Buffer.concat([messageImage(eventOf(true, 'a', Buffer.from('b'))), Buffer.from('c')])],
  ])('is not %s', (_, image) => {
    expect(() => readMessageImage(image, transactionAt(LSN))).toThrow(DecodeError);
  });
});
