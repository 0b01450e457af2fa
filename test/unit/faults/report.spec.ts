import { describe, expect, it } from '@jest/globals';
import { NOTHING_FOUND, type Count } from '../../faults/evidence.js';
import { failuresOf, figures, type FaultResult } from '../../faults/report.js';

const RIGHT: FaultResult = {
  name: 'fault',
  what: 'something',
  hits: 1,
  verdict: { commits: 1, changes: 1, ...NOTHING_FOUND, examples: [] },
  isConfirmed: true,
  crashes: [],
};

describe('the report of the faults run', () => {
  it('takes what came again or lies in a gap for no failure, and everything else for one', () => {
    const withCount = (count: Count): string[] => failuresOf({ ...RIGHT, verdict: { ...RIGHT.verdict, [count]: 1 } });
    expect(failuresOf(RIGHT)).toEqual([]);
    const failing = (Object.keys(NOTHING_FOUND) as Count[]).filter((each) => withCount(each).length > 0);
    expect(failing).toEqual(['lost', 'outOfOrder', 'torn', 'effectsTwice', 'confirmedAgain', 'phantoms', 'altered']);
  });

  it('fails where a process crashed, the position is behind, the fault was not done, or nothing was written', () => {
    expect(failuresOf({ ...RIGHT, crashes: ['journal-001 ended'] })).toEqual(['journal-001 ended']);
    expect(failuresOf({ ...RIGHT, isConfirmed: false })).toHaveLength(1);
    expect(failuresOf({ ...RIGHT, hits: 0 })).toHaveLength(1);
    expect(failuresOf({ ...RIGHT, verdict: { ...RIGHT.verdict, commits: 0 } })).toHaveLength(1);
  });

  it('says of what there are no figures', () => {
    const report = { version: '18.4', seed: 1, seconds: 1, results: [RIGHT], ledger: null };
    expect(figures({ ...report, broken: ['ddl', 'ledger'] })).toContain('Could not be done: ddl, ledger.');
    expect(figures({ ...report, broken: [] })).not.toContain('Could not');
  });
});
