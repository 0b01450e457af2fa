import type { GapKind } from '../interfaces/gap.interface.js';

/** How many gaps of each kind were told. */
export class GapTally {
  private readonly counts: Record<GapKind, number> = {
    'slot-advanced': 0,
    'slot-missing': 0,
    'slot-invalidated': 0,
    'other-cluster': 0,
    'publication-missing': 0,
    'history-lost': 0,
  };

  add(kind: GapKind): void {
    this.counts[kind]++;
  }

  get found(): Readonly<Record<GapKind, number>> {
    return { ...this.counts };
  }
}
