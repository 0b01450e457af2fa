import { describe, expect, it } from '@jest/globals';
import { Insert } from '#lib/changes/change.js';
import { TransactionInfo } from '#lib/changes/transaction.js';
import { TransactionCollector } from '#lib/events/transaction-collector.js';

const PLACE = { walHigh: 0, walLow: 0, ordinal: 0, index: 0 };

function changeOf(commitLsn: bigint): Insert {
  const info = new TransactionInfo('default', commitLsn, 1, new Date(0));
  return new Insert(info, { schema: 'public', table: 'orders' }, PLACE, {});
}

describe('TransactionCollector', () => {
  it('keeps the changes of one transaction, in order, within both limits', () => {
    const collector = new TransactionCollector({ changes: 2, bytes: 100 });
    const changes = [changeOf(1n), changeOf(1n), changeOf(1n)] as const;
    expect(collector.add(changes[0], 50)).toBe(true);
    expect(collector.add(changes[1], 50)).toBe(true);
    expect(collector.changesOf(1n)).toEqual(changes.slice(0, 2));
    expect(collector.add(changes[2], 0)).toBe(false);
    expect(new TransactionCollector({ changes: 9, bytes: 100 }).add(changes[0], 101)).toBe(false);
  });

  it('begins anew with another transaction', () => {
    const collector = new TransactionCollector({ changes: 1, bytes: 100 });
    collector.add(changeOf(1n), 100);
    const other = changeOf(2n);
    expect(collector.add(other, 100)).toBe(true);
    expect(collector.changesOf(2n)).toEqual([other]);
    expect(collector.changesOf(1n)).toEqual([]);
  });

  it('does not take back what it has given when it is cleared', () => {
    const collector = new TransactionCollector({ changes: 9, bytes: 100 });
    const change = changeOf(1n);
    collector.add(change, 100);
    const given = collector.changesOf(1n);
    collector.clear();
    expect([given, collector.changesOf(1n)]).toEqual([[change], []]);
    expect(collector.add(change, 100)).toBe(true);
  });
});
