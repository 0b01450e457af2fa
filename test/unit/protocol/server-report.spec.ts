import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { backendMessageName, parseServerReport, ServerReportError } from '#lib/protocol/server-report.js';
import { embedded } from '../../support/pgoutput-encoder.js';

const BODY = Buffer.from(
  'SFEHLER\0VERROR\0C55006\0Mreplication slot "shop" is active for PID 7\0Drow value: secret\0RReplicationSlotAcquire\0\0',
);

describe('a report of the server', () => {
  it('gives what is not localised, and the message, and never the detail', () => {
    const { buffer, start, end } = embedded(BODY);
    const report = parseServerReport(buffer, start, end);
    expect(report).toEqual({
      severity: 'ERROR',
      code: '55006',
      routine: 'ReplicationSlotAcquire',
      message: 'replication slot "shop" is active for PID 7',
    });
    expect(JSON.stringify(report)).not.toContain('secret');
  });

  it('never throws and never reads on, however it is cut', () => {
    for (let length = 0; length <= BODY.length; length++) {
      const { buffer, start, end } = embedded(BODY.subarray(0, length));
      const { message } = parseServerReport(buffer, start, end);
      expect(['', 'replication slot "shop" is active for PID 7']).toContain(message);
    }
  });

  it('takes an empty field for an empty field', () => {
    const { buffer, start, end } = embedded(Buffer.from('VERROR\0C\0Mtext\0\0'));
    expect(parseServerReport(buffer, start, end)).toMatchObject({ severity: 'ERROR', code: '', message: 'text' });
  });

  it('never throws on any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        const { buffer, start, end } = embedded(Buffer.from(bytes));
        expect(Object.values(parseServerReport(buffer, start, end)).every((field) => typeof field === 'string')).toBe(
          true,
        );
      }),
    );
  });

  it('becomes an error in the shape of node-postgres, with the SQLSTATE as code', () => {
    const { buffer, start, end } = embedded(BODY);
    const error = new ServerReportError(parseServerReport(buffer, start, end));
    expect(error).toMatchObject({ name: 'ServerReportError', code: '55006', severity: 'ERROR' });
    expect(error.message).toContain('is active for PID 7');
  });

  it('names messages as the manual does, and unknown ones by their byte', () => {
    expect(backendMessageName('d'.charCodeAt(0))).toBe('CopyData');
    expect(backendMessageName('E'.charCodeAt(0))).toBe('ErrorResponse');
    expect(backendMessageName(0x07)).toBe('0x07');
  });
});
