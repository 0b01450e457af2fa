import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { PreparedTransactions } from '#lib/replication/in-progress/prepared-transactions.js';

const AT = new Date(0);
const prepare = (gid: string, prepareLsn: bigint, xid = 7) => ({
  gid,
  xid,
  prepareLsn,
  endLsn: prepareLsn + 8n,
  prepareTimestamp: AT,
});
const committed = (gid: string, commitLsn: bigint, xid = 7) => ({
  gid,
  xid,
  commitLsn,
  endLsn: commitLsn + 8n,
  commitTimestamp: AT,
});

describe('the position', () => {
  it('is what is settled where nothing is prepared', () => {
    expect(new PreparedTransactions(0n).confirmable(100n)).toBe(100n);
  });

  it('comes to the preparation, and past it together with the commit', () => {
    const prepared = new PreparedTransactions(0n);
    prepared.add(prepare('a', 100n));
    expect([90n, 100n, 108n, 500n].map((settled) => prepared.confirmable(settled))).toEqual([90n, 100n, 100n, 100n]);
    expect(prepared.commit(committed('a', 600n))).toBe(true);
    expect([500n, 600n, 607n, 608n, 700n].map((settled) => prepared.confirmable(settled))).toEqual([
      100n,
      100n,
      100n,
      608n,
      700n,
    ]);
  });

  it('goes on at once after a rollback', () => {
    const prepared = new PreparedTransactions(0n);
    prepared.add(prepare('a', 100n));
    expect(prepared.rollback({ gid: 'a', xid: 7 })).toBe(true);
    expect(prepared.confirmable(150n)).toBe(150n);
  });

  it('does not go back to what was prepared before the stream began: that comes again with its commit', () => {
    const prepared = new PreparedTransactions(150n);
    prepared.add(prepare('late', 100n));
    expect([150n, 300n].map((settled) => prepared.confirmable(settled))).toEqual([150n, 300n]);
    prepared.add(prepare('at its beginning', 150n));
    expect(prepared.confirmable(300n)).toBe(150n);
    expect(prepared.commit(committed('late', 310n))).toBe(true);
    expect(prepared.rollback({ gid: 'at its beginning', xid: 7 })).toBe(true);
    expect(prepared.confirmable(305n)).toBe(305n);
  });

  it('stays before all that hang together', () => {
    const prepared = new PreparedTransactions(0n);
    prepared.add(prepare('a', 100n));
    prepared.add(prepare('b', 200n));
    prepared.commit(committed('a', 300n));
    // b holds it at 200, which is between the preparation and the commit of a.
    expect(prepared.confirmable(400n)).toBe(100n);
    prepared.commit(committed('b', 500n));
    expect(prepared.confirmable(508n)).toBe(508n);
  });
});

it('what was not prepared here, or was another one of that name, is told so', () => {
  const prepared = new PreparedTransactions(0n);
  prepared.add(prepare('a', 100n, 7));
  expect(prepared.commit(committed('b', 200n))).toBe(false);
  expect(prepared.commit(committed('a', 200n, 8))).toBe(false);
  expect(prepared.rollback({ gid: 'a', xid: 8 })).toBe(false);
  expect(prepared.commit(committed('a', 200n, 7))).toBe(true);
  expect(prepared.commit(committed('a', 200n, 7))).toBe(false);
});

it('never lies between a preparation and the commit of it, never goes back, and comes to the end', () => {
  const steps = fc.array(fc.record({ kind: fc.integer({ min: 0, max: 3 }), pick: fc.nat(), settles: fc.boolean() }), {
    maxLength: 60,
  });
  fc.assert(
    fc.property(steps, (chosen) => {
      const prepared = new PreparedTransactions(0n);
      const open: { gid: string; from: bigint }[] = [];
      const spans: { from: bigint; end: bigint }[] = [];
      let [lsn, settled, last, names] = [0n, 0n, 0n, 0];
      const look = (): void => {
        const position = prepared.confirmable(settled);
        expect(position).toBeGreaterThanOrEqual(last);
        expect(position).toBeLessThanOrEqual(settled);
        last = position;
        for (const { from } of open) expect(position).toBeLessThanOrEqual(from);
        for (const { from, end } of spans) expect(position <= from || position >= end).toBe(true);
      };
      for (const { kind, pick, settles } of chosen) {
        lsn += 10n;
        if (kind === 0 || open.length === 0) {
          const gid = `g${++names}`;
          prepared.add(prepare(gid, lsn));
          open.push({ gid, from: lsn });
        } else if (kind === 1) {
          const [one] = open.splice(pick % open.length, 1);
          prepared.commit(committed(one!.gid, lsn));
          spans.push({ from: one!.from, end: lsn + 8n });
        } else if (kind === 2) {
          const [one] = open.splice(pick % open.length, 1);
          prepared.rollback({ gid: one!.gid, xid: 7 });
        }
        if (settles) settled = lsn + 8n;
        look();
      }
      for (const { gid } of open.splice(0)) prepared.rollback({ gid, xid: 7 });
      settled = lsn + 8n;
      look();
      expect(last).toBe(settled);
    }),
  );
});

describe('behind one that everybody has forgotten', () => {
  it.each([1, 200_000])('what is settled up to a byte in %i is not kept, and the position is found at once', (lag) => {
    const prepared = new PreparedTransactions(0n);
    prepared.add(prepare('forgotten', 100n));
    const count = 20_000;
    let most = 0;
    let lsn = 1_000n;
    for (let at = 0; at < count; at++, lsn += 30n) {
      prepared.add(prepare('one', lsn));
      prepared.commit(committed('one', lsn + 10n));
      expect(prepared.confirmable(lsn + 18n < lag ? 0n : lsn + 18n - BigInt(lag))).toBeLessThanOrEqual(100n);
      most = Math.max(most, prepared.stretchCount);
    }
    expect(most).toBeLessThanOrEqual(lag === 1 ? 32 : 1024);
    const from = performance.now();
    for (let at = 0; at < 1_000; at++) prepared.confirmable(lsn);
    expect(performance.now() - from).toBeLessThan(100);
    prepared.rollback({ gid: 'forgotten', xid: 7 });
    expect(prepared.confirmable(lsn)).toBe(lsn);
  });
});

it('of very many that nobody has settled, the position waits for the last, and never goes back', () => {
  const prepared = new PreparedTransactions(0n);
  const count = 3_000;
  for (let at = 1; at <= count; at++) {
    prepared.add(prepare('one', BigInt(at * 100)));
    prepared.commit(committed('one', BigInt(at * 100 + 50)));
  }
  expect(prepared.stretchCount).toBe(1024);
  let last = 0n;
  for (let settled = 0n; settled <= count * 100 + 58; settled += 29n) {
    const position = prepared.confirmable(settled);
    expect(position).toBeGreaterThanOrEqual(last);
    for (const at of [1, 2, 1_023, 1_024, 1_025, count].map((each) => BigInt(each * 100))) {
      expect(position <= at || position >= at + 58n).toBe(true);
    }
    last = position;
  }
  expect(prepared.confirmable(BigInt(count * 100 + 58))).toBe(BigInt(count * 100 + 58));
});
