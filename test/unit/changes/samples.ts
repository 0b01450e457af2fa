import { TransactionInfo } from '#lib/changes/transaction.js';
import { SOME_TIME } from '../../support/pgoutput-encoder.js';

export const ORDERS = { schema: 'public', table: 'orders' };
export const ITEMS = { schema: 'shop', table: 'items' };

export function transactionAt(commitLsn: bigint, app = 'default'): TransactionInfo {
  return new TransactionInfo(app, commitLsn, 733, SOME_TIME);
}

export function placeAt(index: number) {
  return { walHigh: 0x16, walLow: 0x10 + index, ordinal: 0, index };
}

/** Can be iterated more than once. */
export function asynchronously<T>(items: readonly T[]): AsyncIterable<T> {
  return {
    async *[Symbol.asyncIterator]() {
      yield* items;
    },
  };
}
