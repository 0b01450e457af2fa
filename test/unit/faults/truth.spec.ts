import { describe, expect, it } from '@jest/globals';
import { contentOf, contentOfUpdate, Truth } from '../../faults/truth.js';

describe('what the writers of the faults run know', () => {
  it('is gone where it was written before a loss, and the database does not have it', () => {
    const truth = new Truth();
    const change = (name: string) => [{ name, table: 'docs' as const, row: name, step: 0, content: '' }];
    truth.begin('kept', change('kept'), '0/1');
    truth.begin('lost', change('lost'), '0/2');
    truth.lossesOfDatabase++;
    truth.begin('later', change('later'), '0/3');
    expect(truth.gone(new Set(['kept']))).toEqual(new Set(['lost']));
  });

  it('tells contents apart by each column, and by whether it is told', () => {
    const row = { id: 1, row: 2, version: 3, pad: 'x' };
    const contents = [
      row,
      { ...row, id: 4 },
      { ...row, row: 4 },
      { ...row, version: 4 },
      { ...row, pad: 'y' },
      { ...row, pad: null },
      { id: 1, row: 2, version: 3 },
      { id: 1 },
    ].map(contentOf);
    expect(new Set(contents).size).toBe(contents.length);
    expect(contentOf({ ...row, pad: 'a,b\tc\n' })).not.toMatch(/[,\s]/);
    expect(contentOfUpdate(row, null)).toBe(contentOf(row));
    expect(contentOfUpdate(row, { id: 4 })).not.toBe(contentOfUpdate(row, { id: 5 }));
  });
});
