import { describe, expect, it } from '@jest/globals';
import type { Client } from 'pg';
import { forkIn, forkOf } from '#lib/slots/timeline-history.js';

const HISTORY = '1\t0/3000158\tno recovery target specified\n\n2\t1/A0\tat restore point "x"\n';

describe('a timeline history', () => {
  it('tells where each timeline was left', () => {
    expect(forkIn(HISTORY, '1')).toBe(0x3000158n);
    expect(forkIn(HISTORY, '2')).toBe(0x1_0000_00a0n);
    expect(forkIn(`\\x${Buffer.from(HISTORY).toString('hex')}`, '2')).toBe(0x1_0000_00a0n);
  });

  it('says nothing of a timeline that is no ancestor', () => {
    expect(forkIn(HISTORY, '3')).toBeNull();
    expect(forkIn('', '1')).toBeNull();
  });

  it.each(['58P01', '42501', '0A000', '42601'])('cannot be told where the server answers with %s', async (code) => {
    const replication = { query: () => Promise.reject(Object.assign(new Error('no'), { code })) } as unknown as Client;
    expect(await forkOf(replication, '1', '2')).toBeNull();
  });

  it.each(['57P01', '57014', '53200', 'EPIPE', undefined])('is asked for again after the error %s', async (code) => {
    const error = Object.assign(new Error('lost'), { code });
    const replication = { query: () => Promise.reject(error) } as unknown as Client;
    await expect(forkOf(replication, '1', '2')).rejects.toBe(error);
  });
});
