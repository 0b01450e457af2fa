import { describe, expect, it } from '@jest/globals';
import { check } from '../../faults/checker.js';
import { NOTHING_FOUND, type Evidence, type Verdict } from '../../faults/evidence.js';
import type { Entry } from '../../faults/journal.js';
import type { WrittenTransaction } from '../../faults/truth.js';

/** Two rows: `a` is written in both transactions, `b` in the first. */
const FIRST: WrittenTransaction = {
  token: 'first',
  losses: 0,
  after: 0x10n,
  before: 0x20n,
  changes: [written('a', 0), written('b', 0), written('a', 1)],
};
const SECOND: WrittenTransaction = {
  token: 'second',
  losses: 0,
  after: 0x20n,
  before: 0x30n,
  changes: [written('a', 2), written('c', 0)],
};
const ALL = ['a/0', 'b/0', 'a/1', 'a/2', 'c/0'];

function written(row: string, step: number): WrittenTransaction['changes'][number] {
  return { name: `${row}/${step}`, table: 'items', row, step, content: contentOfName(`${row}/${step}`) };
}

function contentOfName(name: string): string {
  return `content of ${name}`;
}

function lsnOf(name: string | undefined): string {
  return SECOND.changes.some((change) => change.name === name) ? '0/28' : '0/18';
}

function entry(handler: string, names: readonly string[], more: Partial<Entry> = {}): Entry {
  return { handler, lsn: lsnOf(names[0]), names, contents: names.map(contentOfName), ...more };
}

function journal(...entries: readonly Entry[]): Pick<Evidence, 'journals'> {
  return { journals: [{ name: 'journal-0', entries }] };
}

function verdict(names: readonly (readonly string[])[], more: Partial<Evidence> = {}): Verdict {
  return check({
    handlers: ['serial'],
    seesWhole: false,
    hasDetails: true,
    transactions: [FIRST, SECOND],
    journals: names.map((process, index) => ({
      name: `journal-${index}`,
      entries: process.map((name) => entry('serial', [name])),
    })),
    effects: [],
    floors: new Map(),
    mayMiss: () => false,
    isParking: false,
    isInGap: () => false,
    isGone: () => false,
    ...more,
  });
}

describe('the checker of the faults run', () => {
  const { missedInGap: _inGap, ...clean } = NOTHING_FOUND;

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

  it('finds an order of rows that is not the one in which they were written', () => {
    expect(verdict([['b/0', 'a/0', 'a/1', 'a/2', 'c/0']])).toMatchObject({ ...clean, outOfOrder: 1 });
    const more = { handlers: ['arrays' as const], hasDetails: false };
    const arrays = ['b/0', 'a/0', 'a/1', 'a/2', 'c/0'].map((name) => entry('arrays', [name]));
    expect(verdict([], { ...more, ...journal(...arrays) })).toMatchObject({ ...clean, outOfOrder: 1 });
  });

  it('finds an order of transactions that is not the one in which they were committed, by what the writers know', () => {
    const apart = [entry('serial', ['c/0']), entry('serial', ['b/0'])];
    // Their rows do not tell, and positions are not told, or a lie.
    expect(verdict([], { hasDetails: false, ...journal(...apart) }).outOfOrder).toBe(1);
    const lie = [entry('serial', ['c/0'], { lsn: '0/11' }), entry('serial', ['b/0'], { lsn: '0/12' })];
    expect(verdict([], journal(...lie)).outOfOrder).toBe(1);
    const effects = ['c/0', 'b/0'].map((name) => ({ handler: 'effects', name, content: contentOfName(name) }));
    expect(verdict([], { handlers: ['effects'], effects }).outOfOrder).toBe(1);
    expect(verdict([], { handlers: ['effects'], effects: effects.toReversed() }).outOfOrder).toBe(0);
    const arrays = effects.map(({ name, content }) => ({ handler: 'effectArrays', name, content }));
    expect(verdict([], { handlers: ['effectArrays'], effects: arrays }).outOfOrder).toBe(1);
  });

  it('finds positions that do not grow from one transaction to the next, or change within one', () => {
    // Of what was written at the same time, nobody but the server knows the order.
    const transactions = [FIRST, { ...SECOND, after: FIRST.after }];
    const at = (...lsns: readonly string[]): Verdict => {
      const entries = ['b/0', 'c/0'].map((name, index) => entry('serial', [name], { lsn: lsns[index]! }));
      return verdict([], { transactions, ...journal(...entries) });
    };
    expect(at('0/18', '0/28')).toMatchObject({ outOfOrder: 0, altered: 0 });
    expect(at('0/18', '0/17').outOfOrder).toBe(1);
    expect(at('0/18', '0/18').outOfOrder).toBe(1);
    const within = ['a/0', 'b/0'].map((name, index) => entry('serial', [name], { lsn: `0/1${index}` }));
    expect(verdict([], journal(...within)).outOfOrder).toBe(1);
  });

  it('finds contents and positions that are not those that were written', () => {
    const seen = (more: Partial<Entry>, handler = 'serial'): Verdict =>
      verdict([], { seesWhole: true, ...journal(entry(handler, ['b/0'], more)) });
    expect(seen({}).altered).toBe(0);
    expect(seen({ contents: ['another'] }).altered).toBe(1);
    expect(seen({ contents: [] }).altered).toBe(1);
    expect(seen({ contents: ['another'] }, 'whole').altered).toBe(1);
    for (const lsn of ['0/F', '0/20']) expect(seen({ lsn }).altered).toBe(1);
    for (const lsn of ['0/10', '0/1F']) expect(seen({ lsn }).altered).toBe(0);
    const effects = [{ handler: 'effects', name: 'b/0', content: 'another' }];
    expect(verdict([], { handlers: ['effects'], effects }).altered).toBe(1);
  });

  it('does not ask for contents and positions of somebody who does not tell them', () => {
    const entries = ALL.map((name) => entry('serial', [name], { lsn: '0/0', contents: [] }));
    expect(verdict([], { hasDetails: false, ...journal(...entries) })).toMatchObject(clean);
  });

  it('finds transactions that are mixed with others', () => {
    expect(verdict([['a/0', 'c/0', 'b/0', 'a/1', 'a/2']])).toMatchObject({ lost: 0, torn: 2 });
  });

  it('finds what was never committed, and what came although it was confirmed', () => {
    expect(verdict([[...ALL, 'd/0']])).toMatchObject({ ...clean, phantoms: 1 });
    expect(verdict([ALL], { floors: new Map([['journal-0', 0x20n]]) })).toMatchObject({ ...clean, confirmedAgain: 3 });
  });

  it('finds effects that are not there once, and in the order of their rows', () => {
    const effects = (names: readonly string[]): Verdict =>
      verdict([], {
        handlers: ['effects'],
        effects: names.map((name) => ({ handler: 'effects', name, content: contentOfName(name) })),
      });
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
        ...journal(...all.map((names) => entry('whole', names))),
      });
    const [first, second] = [FIRST, SECOND].map(({ changes }) => changes.map(({ name }) => name)) as [
      string[],
      string[],
    ];
    expect(whole(first, second)).toMatchObject(clean);
    expect(whole(first.slice(1), second)).toMatchObject({ torn: 1, lost: 0 });
    expect(whole(first)).toMatchObject({ torn: 0, lost: 1 });
    expect(whole(first, first, second)).toMatchObject({ duplicates: 1 });
    expect(whole(first, first, second)).toMatchObject({ outOfOrder: 1 });
    expect(whole(second, first)).toMatchObject({ lost: 0, outOfOrder: 1 });
    expect(whole(first.toReversed(), second)).toMatchObject({ torn: 1 });
    expect(whole(first, second, ['d/0'])).toMatchObject({ ...clean, phantoms: 1 });
  });

  it('lets be missing what a policy or a reported gap lets be', () => {
    const mayMiss = (_: string, name: string): boolean => name === 'a/1';
    expect(verdict([['a/0', 'b/0', 'a/2', 'c/0']], { mayMiss })).toMatchObject(clean);
    expect(verdict([ALL.slice(3)], { isInGap: ({ token }) => token === 'first' })).toMatchObject({
      ...clean,
      missedInGap: 3,
    });
  });

  it('lets a gap excuse what lies in it, and no order of what lies behind it', () => {
    const isInGap = ({ token }: WrittenTransaction): boolean => token === 'first';
    const third = { ...SECOND, token: 'third', after: 0x30n, before: 0x40n, changes: [written('a', 3)] };
    const more = { isInGap, transactions: [FIRST, SECOND, third] };
    const seen = (...names: readonly string[]): Verdict =>
      verdict([], {
        ...more,
        ...journal(...names.map((name) => entry('serial', [name], name === 'a/3' ? { lsn: '0/38' } : {}))),
      });
    expect(seen('a/2', 'c/0', 'a/3')).toMatchObject({ ...clean, missedInGap: 3 });
    expect(seen('a/0', 'a/2', 'c/0', 'a/3')).toMatchObject({ ...clean, missedInGap: 2 });
    expect(seen('c/0', 'a/3', 'a/2').outOfOrder).toBeGreaterThan(0);
  });

  it('lets be seen what the database has lost since, and nothing else that it does not have', () => {
    const isGone = (name: string): boolean => name === 'd/0';
    expect(verdict([[...ALL, 'd/0']], { isGone })).toMatchObject(clean);
    expect(verdict([[...ALL, 'e/0']], { isGone })).toMatchObject({ ...clean, phantoms: 1 });
    const effects = [...ALL, 'd/0'].map((name) => ({ handler: 'effects', name, content: contentOfName(name) }));
    expect(verdict([], { handlers: ['effects'], effects, isGone })).toMatchObject({ ...clean, phantoms: 1 });
  });

  it('lets be seen anew, in one process, what lies in a gap and was seen before in another one', () => {
    const isInGap = ({ token }: WrittenTransaction): boolean => token === 'first';
    expect(
      verdict(
        [
          ['a/0', 'b/0', 'a/1'],
          ['a/0', 'a/2', 'c/0'],
        ],
        { isInGap },
      ),
    ).toMatchObject({ ...clean, duplicates: 1 });
  });

  it('does not ask for an order of what is parked, nor for a position that it came after', () => {
    const serial = ['c/0', 'a/0', 'b/0', 'a/1', 'a/2'].map((name) => entry('serial', [name]));
    const whole = [SECOND, FIRST].map(({ changes }) =>
      entry(
        'whole',
        changes.map(({ name }) => name),
      ),
    );
    const floors = new Map([['journal-0', 0x20n]]);
    const more = { seesWhole: true, floors, ...journal(...serial, ...whole) };
    expect(verdict([], { ...more, isParking: true })).toMatchObject(clean);
    expect(verdict([], more)).not.toMatchObject(clean);
  });
});
