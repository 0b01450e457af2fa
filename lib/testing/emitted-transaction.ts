import { CommittedTransaction, TransactionInfo, TransactionTally } from '../changes/transaction.js';
import { isBeyond } from '../changes/wal-position.js';
import type { EventsDispatcher } from '../events/events.dispatcher.js';
import type { WalPosition } from '../interfaces/wal-position.interface.js';
import type { Emission } from './emissions.js';

/** A transaction that a test emits, as a server would send it: again, where the connection breaks before it is settled. */
export class EmittedTransaction {
  private readonly emissions: readonly Emission[];
  private readonly info: TransactionInfo;
  private isSettled = false;

  constructor(emissions: readonly Emission[], info: TransactionInfo) {
    this.emissions = emissions;
    this.info = info;
  }

  /** Changes of rows and tables in it. */
  get size(): number {
    // JavaScript may hand in what is none.
    return this.emissions.filter((each: Emission | undefined) => each?.kind === 'change').length;
  }

  /**
   * Hands over what has not been handed over on an earlier connection.
   *
   * @param isGivenUp asked before each: a handler may have failed for good, and what is left is dropped
   * @throws what making a change throws
   */
  deliver(dispatcher: EventsDispatcher, isGivenUp: () => boolean, settled: () => void): void {
    if (this.isSettled) return;
    const { info, emissions } = this;
    const { handedOver } = dispatcher;
    const before = handedOver?.commitLsn === info.commitLsn ? handedOver : null;
    const tally = new TransactionTally();
    for (const [index, each] of emissions.entries()) {
      if (isGivenUp()) return;
      const walLow = Number(info.commitLsn) - emissions.length + index;
      this.hand(
        each,
        { commitLsn: info.commitLsn, walHigh: 0, walLow, ordinal: 0, index },
        { dispatcher, tally, before },
      );
    }
    if (isGivenUp()) return;
    const settle = (): void => {
      this.isSettled = true;
      settled();
    };
    dispatcher.commit(new CommittedTransaction(info, tally), { settle });
  }

  private hand(
    emission: Emission,
    place: WalPosition & { readonly index: number },
    {
      dispatcher,
      tally,
      before,
    }: { dispatcher: EventsDispatcher; tally: TransactionTally; before: WalPosition | null },
  ): void {
    const { info } = this;
    const isNew = before === null || isBeyond(place, before);
    if (emission.kind === 'message') {
      if (isNew) dispatcher.message(emission.make(info, place), 0, null);
    } else if (emission.kind === 'schema') {
      if (isNew) dispatcher.description(emission.make(info, place));
    } else {
      const { table } = emission;
      const change = emission.make(info, table, place);
      tally.add(table, change.operation);
      if (!isNew) return;
      dispatcher.change(change, dispatcher.route({ ...table, keyColumns: null, signature: '' }), 0, null);
    }
  }
}
