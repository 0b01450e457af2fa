import { describe, expect, it } from '@jest/globals';
import { check, type Evidence, type Verdict } from '../../faults/checker.js';
import type { WrittenTransaction } from '../../faults/truth.js';

/** Two rows: `a` is written in both transactions, `b` in the first. */
const FIRST = {
  token: 'first',
  losses: 0,
  after: 1n,
  before: 2n,
  changes: [written('a', 0), written('b', 0), written('a', 1)],
};
const SECOND = { token: 'second', losses: 0, after: 3n, before: 4n, changes: [written('a', 2), written('c', 0)] };
const ALL = ['a/0', 'b/0', 'a/1', 'a/2', 'c/0'];

function written(row: string, step: number): WrittenTransaction['changes'][number] {
  return { name: `${row}/${step}`, table: 'items', row, step };
}

function verdict(names: readonly (readonly string[])[], more: Partial<Evidence> = {}): Verdict {
  return check({
    handlers: ['serial'],
    seesWhole: false,
    hasCommitLsns: true,
    transactions: [FIRST, SECOND],
    journals: names.map((process, index) => ({
      name: `journal-${index}`,
      entries: process.map((name) => ({ handler: 'serial', lsn: '0/10', names: [name] })),
    })),
    effects: [],
    floors: new Map(),
    mayMiss: () => false,
    isParking: false,
    isInGap: () => false,
    mayHaveLost: false,
    ...more,
  });
}

describe('the checker of the faults run', () => {
  const clean = { lost: 0, outOfOrder: 0, torn: 0, duplicates: 0, effectsTwice: 0, confirmedAgain: 0, phantoms: 0 };

  it('finds nothing where there is nothing, and what comes again in another process is that and no more', () => {
    expect(verdict([ALL])).toMatchObject({ commits: 2, changes: 5, ...clean });
    expect(verdict([ALL.slice(0, 4), ALL])).toMatchObject({ ...clean, duplicates: 4 });
    expect(verdict([ALL.slice(0, 4), ALL.slice(3)])).toMatchObject({ ...clean, duplicates: 1 });
  });

  it('finds what is lost, at the end, within a row, and after a restart', () => {
    expect(verdict([ALL.slice(0, 4)])).toMatchObject({ ...clean, lost: 1 });
    expect(verdict([['a/0', 'b/0', 'a/2', 'c/0']])).toMatchObject({ ...clean, lost: 1 });
    expect(verdict([['a/0', 'b/0'], ['c/0']])).toMatchObject({ ...clean, lost: 2 });
  });

  it('finds what is out of order, and what the same process sees twice', () => {
    expect(verdict([['a/1', 'b/0', 'a/0', 'a/2', 'c/0']])).toMatchObject({ lost: 0, outOfOrder: 5, duplicates: 0 });
    expect(verdict([['a/0', 'a/0', 'b/0', 'a/1', 'a/2', 'c/0']])).toMatchObject({ outOfOrder: 2, duplicates: 1 });
    expect(
      verdict([
        ['a/0', 'b/0'],
        ['a/2', 'a/1', 'a/2', 'c/0'],
      ]).outOfOrder,
    ).toBeGreaterThan(0);
  });

  it('finds an order of rows or transactions that is not that of the commits', () => {
    expect(verdict([['b/0', 'a/0', 'a/1', 'a/2', 'c/0']])).toMatchObject({ lost: 0, outOfOrder: 1 });
    const entries = [...ALL.slice(3), ...ALL.slice(0, 3)].map((name, index) => ({
      handler: 'serial',
      lsn: index < 2 ? '0/20' : '0/10',
      names: [name],
    }));
    expect(verdict([], { journals: [{ name: 'journal-0', entries }] }).outOfOrder).toBeGreaterThan(0);
  });

  it('finds transactions that are mixed with others', () => {
    expect(verdict([['a/0', 'c/0', 'b/0', 'a/1', 'a/2']])).toMatchObject({ lost: 0, torn: 2 });
  });

  it('finds what was never committed, and what came although it was confirmed', () => {
    expect(verdict([[...ALL, 'd/0']])).toMatchObject({ ...clean, phantoms: 1 });
    expect(verdict([ALL], { floors: new Map([['journal-0', 0x20n]]) })).toMatchObject({ ...clean, confirmedAgain: 5 });
  });

  it('finds effects that are not there once, and in the order of their rows', () => {
    const effects = (names: readonly string[]): Verdict =>
      verdict([], { handlers: ['effects'], effects: names.map((name) => ({ handler: 'effects', name })) });
    expect(effects(ALL)).toMatchObject(clean);
    expect(effects([...ALL, 'c/0'])).toMatchObject({ lost: 0, effectsTwice: 1 });
    expect(effects(ALL.slice(1))).toMatchObject({ lost: 1, effectsTwice: 0 });
    expect(effects(['a/1', 'b/0', 'a/0', 'a/2', 'c/0']).outOfOrder).toBeGreaterThan(0);
  });

  it('finds whole transactions that are not whole', () => {
    const whole = (...all: readonly (readonly string[])[]): Verdict =>
      verdict([], {
        handlers: [],
        seesWhole: true,
        journals: [
          {
            name: 'journal-0',
            entries: all.map((names, index) => ({ handler: 'whole', lsn: `0/${index + 1}`, names })),
          },
        ],
      });
    const [first, second] = [FIRST, SECOND].map(({ changes }) => changes.map(({ name }) => name)) as [
      string[],
      string[],
    ];
    expect(whole(first, second)).toMatchObject(clean);
    expect(whole(first.slice(1), second)).toMatchObject({ torn: 1, lost: 0 });
    expect(whole(first)).toMatchObject({ torn: 0, lost: 1 });
    expect(whole(first, first, second)).toMatchObject({ duplicates: 1 });
    const twice = [first, second].map((names) => ({ handler: 'whole', lsn: '0/7', names }));
    const same = verdict([], { handlers: [], seesWhole: true, journals: [{ name: 'journal-0', entries: twice }] });
    expect(same).toMatchObject({ outOfOrder: 1 });
  });

  it('lets be missing what a policy or a reported gap lets be', () => {
    const mayMiss = (_: string, name: string): boolean => name === 'a/1';
    expect(verdict([['a/0', 'b/0', 'a/2', 'c/0']], { mayMiss })).toMatchObject(clean);
    expect(verdict([ALL.slice(3)], { isInGap: ({ token }) => token === 'first' })).toMatchObject({
      ...clean,
      missedInGap: 3,
    });
  });
});
