import { describe, expect, it, jest } from '@jest/globals';
import fc from 'fast-check';
import {
  COPY_DONE,
  dateFromTimestamp,
  KEEPALIVE_SIZE,
  query,
  standbyStatusUpdate,
  TERMINATE,
  XLOG_DATA_SIZE,
} from '#lib/protocol/replication-messages.js';
import { keepalive, serverTime, xLogData } from '../../support/pgoutput-encoder.js';

const anyLsn = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });

describe('messages to the server', () => {
  it('a status update says written = flushed = applied = confirmed, exactly', () => {
    fc.assert(
      fc.property(anyLsn, fc.boolean(), (lsn, replyRequested) => {
        const message = standbyStatusUpdate(lsn, replyRequested);
        expect(message.toString('latin1', 0, 1)).toBe('d');
        expect(message.readInt32BE(1)).toBe(message.length - 1);
        expect(message.toString('latin1', 5, 6)).toBe('r');
        expect([6, 14, 22].map((at) => message.readBigUInt64BE(at))).toEqual([lsn, lsn, lsn]);
        expect(message[38]).toBe(replyRequested ? 1 : 0);
        expect(message).toHaveLength(39);
      }),
    );
  });

  it('a status update carries the time in microseconds since 2000', () => {
    jest.useFakeTimers({ now: new Date('2026-01-02T03:04:05.678Z') });
    try {
      expect(standbyStatusUpdate(1n, false).readBigInt64BE(30)).toBe(serverTime(new Date('2026-01-02T03:04:05.678Z')));
    } finally {
      jest.useRealTimers();
    }
  });

  it('a query is framed by its bytes, not its characters', () => {
    const message = query('SELECT 🐘');
    expect(message.toString('latin1', 0, 1)).toBe('Q');
    expect(message.readInt32BE(1)).toBe(message.length - 1);
    expect(message.toString('utf8', 5)).toBe('SELECT 🐘\0');
  });

  it('CopyDone and Terminate are their type and an empty body', () => {
    expect([...COPY_DONE]).toEqual([0x63, 0, 0, 0, 4]);
    expect([...TERMINATE]).toEqual([0x58, 0, 0, 0, 4]);
  });
});

describe('messages of the server', () => {
  it('have the sizes that the manual gives', () => {
    expect(xLogData(Buffer.alloc(0), 1n)).toHaveLength(XLOG_DATA_SIZE);
    expect(keepalive(1n)).toHaveLength(KEEPALIVE_SIZE);
  });

  it('carry times that become dates, cut to the millisecond', () => {
    const date = new Date('2026-03-04T05:06:07.089Z');
    expect(dateFromTimestamp(serverTime(date))).toEqual(date);
    expect(dateFromTimestamp(serverTime(date) + 999n)).toEqual(date);
    expect(dateFromTimestamp(0n)).toEqual(new Date('2000-01-01T00:00:00Z'));
  });
});
