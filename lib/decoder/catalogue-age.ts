import type { Lsn } from '../protocol/lsn.js';

/** How old what the catalogue has said is, against what is being read by it. */
export class CatalogueAge {
  /** Of what is read now; null: of what the stream brings. */
  private keptOf: Lsn | null = null;

  constructor(
    /** What was committed up to here is not newer than what the catalogue has said. */
    private readonly end: Lsn,
    /** Where the transaction was committed that the stream brings now. */
    private readonly streamed: () => Lsn,
  ) {}

  /**
   * What is being read was committed before the catalogue was read. If not, a composite value with other attributes than are
   * known means that the type was altered since.
   */
  get isNewer(): boolean {
    return (this.keptOf ?? this.streamed()) <= this.end;
  }

  /** Until `endKept`, what is read is not the stream's: it was kept of a transaction that was committed there. */
  beginKept(commitLsn: Lsn): void {
    this.keptOf = commitLsn;
  }

  endKept(): void {
    this.keptOf = null;
  }
}
