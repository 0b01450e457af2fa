import { describe, expect, it } from '@jest/globals';
import { failoverFaults, type FailoverFacts } from '#lib/slots/failover.js';

const standby = { name: 'standby_1', active: true, hasXmin: true };
const faults = (more: Partial<FailoverFacts>): string[] =>
  failoverFaults({ synchronizedStandbySlots: 'standby_1', physicalSlots: [standby], ...more });

describe('what a failover slot needs on the primary', () => {
  it('is there where a standby streams from the slot that is waited for', () => {
    expect(faults({})).toEqual([]);
    expect(faults({ synchronizedStandbySlots: ' "standby_1" ' })).toEqual([]);
    expect(faults({ synchronizedStandbySlots: '*' })).toEqual([]);
  });

  it.each<[string, Partial<FailoverFacts>, RegExp]>([
    ['no physical slot', { physicalSlots: [], synchronizedStandbySlots: '' }, /there is no physical slot/],
    ['nobody waited for', { synchronizedStandbySlots: '' }, /SET synchronized_standby_slots = 'standby_1'/],
    ['a name without a slot', { synchronizedStandbySlots: 'standby_1, nobody' }, /names "nobody", and there is no/],
    ['a standby that is away', { physicalSlots: [{ ...standby, active: false }] }, /no standby streams from it/],
    ['no feedback', { physicalSlots: [{ ...standby, hasXmin: false }] }, /hot_standby_feedback off/],
  ])('is missing: %s', (_, facts, text) => {
    expect(faults(facts)).toEqual([expect.stringMatching(text)]);
  });
});
