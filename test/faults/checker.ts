import { CommitCheck } from './commit-check.js';
import { Case, type Evidence, type Verdict } from './evidence.js';
import { RowCheck } from './row-check.js';

/** Holds what handlers have seen against what was committed. */
export function check(evidence: Evidence): Verdict {
  const whole = new Case(evidence);
  new RowCheck(whole).run();
  new CommitCheck(whole).run();
  return whole.verdict;
}
