import { tmpdir } from 'node:os';
import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  begin,
  commit,
  inPart,
  insert,
  relation,
  streamAbort,
  streamCommit,
  streamStart,
  streamStop,
} from '../../../support/pgoutput-encoder.js';
import { openSpillFiles } from '../../events/whole/captured-changes.js';
import { until } from '../../waiting.js';
import { PublisherBench } from '../fake-sink.js';

const TABLES = [1, 2];
const description = (table: number): Buffer =>
  relation({
    id: table,
    table: `t${table}`,
    columns: [
      { name: 'id', isKey: true },
      { name: 'pad', typeOid: 25 },
    ],
  });

/** One row: its table, the sub-transaction (0: none), whether it shares the LSN of the one before, how long it is. */
const row = fc.record({
  table: fc.constantFrom(...TABLES),
  sub: fc.integer({ min: 0, max: 3 }),
  isJoined: fc.boolean(),
  length: fc.oneof(fc.integer({ min: 0, max: 50 }), fc.integer({ min: 0, max: 9000 })),
});
const transaction = fc.record({
  parts: fc.array(fc.array(row, { minLength: 1, maxLength: 30 }), { minLength: 1, maxLength: 4 }),
  aborted: fc.uniqueArray(fc.integer({ min: 1, max: 3 }), { maxLength: 3 }),
  isCommitted: fc.boolean(),
});

it('transactions in parts are what they are as a whole, in every order of their parts, in memory and on disk', async () => {
  const chosen = fc.record({
    transactions: fc.array(transaction, { minLength: 1, maxLength: 4 }),
    order: fc.array(fc.nat(), { minLength: 16, maxLength: 16 }),
    bound: fc.constantFrom(0, 5_000, 1_000_000),
  });
  await fc.assert(
    fc.asyncProperty(chosen, async ({ transactions, order, bound }) => {
      const [streamed, whole] = [new PublisherBench(), new PublisherBench()];
      streamed.mostStreamedBytes = bound;
      const [parts, plain] = [streamed.connect(), whole.connect()];
      const described = new Set<number>();
      let lsn = 0x1000n;
      let id = 0;
      const open = transactions.map((each, at) => ({
        ...each,
        xid: 100 * (at + 1),
        sent: [] as [bigint, Buffer, number, number][],
        next: 0,
      }));
      for (let step = 0; open.length > 0; step++) {
        const at = order[step % order.length]! % open.length;
        const one = open[at]!;
        const { xid } = one;
        if (one.next < one.parts.length) {
          parts.send(lsn, streamStart(xid, one.next === 0));
          if (one.next === 0) for (const table of TABLES) parts.send(0n, inPart(xid + 1, description(table)));
          for (const { table, sub, isJoined, length } of one.parts[one.next]!) {
            if (!isJoined) lsn += 0x10n;
            const message = insert(table, [String(++id), 'p'.repeat(length)]);
            parts.send(lsn, inPart(xid + sub, message));
            one.sent.push([lsn, message, sub, table]);
          }
          parts.send(lsn, streamStop());
          one.next++;
          lsn += 0x10n;
          continue;
        }
        open.splice(at, 1);
        for (const sub of one.aborted) parts.send(lsn, streamAbort(xid, xid + sub));
        if (!one.isCommitted) {
          parts.send(lsn, streamAbort(xid, xid));
          continue;
        }
        const commitLsn = (lsn += 0x100n);
        plain.send(one.sent[0]![0], begin(commitLsn, xid));
        for (const [place, message, sub, table] of one.sent) {
          if (one.aborted.includes(sub)) continue;
          if (!described.has(table)) plain.send(0n, description(table));
          described.add(table);
          plain.send(place, message);
        }
        plain.send(commitLsn, commit(commitLsn, commitLsn + 8n));
        parts.send(commitLsn, streamCommit(xid, commitLsn, commitLsn + 8n));
        await until(() => !parts.pace.isHeld);
      }
      const told = ({ sink }: PublisherBench): unknown[] => [
        ...sink.changes.map((change) => ({
          ...change,
          transaction: change.transaction.lsn,
          text: JSON.stringify(change),
        })),
        ...sink.commits.map(({ lsn, xid, size }) => ({ lsn, xid, size })),
      ];
      expect(told(streamed)).toEqual(told(whole));
      streamed.sink.settleAll();
      whole.sink.settleAll();
      expect(parts.tracker.confirmable).toBe(plain.tracker.confirmable);
      expect(parts.pace.fault).toBeUndefined();
      parts.publisher.streamed.close();
    }),
    { numRuns: 150 },
  );
  await until(() => openSpillFiles(tmpdir()).length === 0);
}, 60_000);
