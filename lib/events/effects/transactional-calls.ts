import { SlotInUseError } from '../../errors/replication.error.js';
import type { EffectPlace, EffectsStore } from '../../interfaces/effects-store.interface.js';
import type { TransactionalContext } from '../../interfaces/handler.interface.js';
import { failedItems } from '../lanes/batch-results.js';
import { HandledPrefix } from './handled-prefix.js';

/** One call: the changes that it is for, and how the user's method is called with them. */
export interface TransactionalCall {
  readonly items: readonly EffectPlace[];
  readonly xid: number;
  readonly parkedId: string | null;
  readonly signal: AbortSignal;
  /** @param items some of the call's, at least one */
  readonly invoke: (client: TransactionalContext['client'], items: readonly EffectPlace[]) => unknown;
}

/** The calls of one `transactional` handler: each in a transaction that also says that its changes are done. */
export class TransactionalCalls {
  readonly prefix = new HandledPrefix();
  /** Changes that were done already when they came, in this process or an earlier one. */
  repeats = 0;

  constructor(
    private readonly handler: string,
    private readonly store: EffectsStore,
    private readonly isBatch: boolean,
    /** Another process has the stream: what is in hand is its business now. */
    private readonly onSuperseded: (error: SlotInUseError) => void,
  ) {}

  /**
   * Where a handler of arrays says that some items have failed, nothing of the call is kept, for nobody can tell whose
   * effects are whose: it is called again with those that have not.
   *
   * @returns as the handler would: undefined, or an array in which failed items stand as rejected
   */
  async run(call: TransactionalCall): Promise<unknown> {
    const { items } = call;
    const failures = new Map<EffectPlace, unknown>();
    let left = items;
    while (left.length > 0) {
      const failed = await this.attempt(call, left);
      if (failed === null) break;
      for (const [item, reason] of failed) failures.set(item, reason);
      left = left.filter((item) => !failed.has(item));
    }
    if (failures.size === 0) return undefined;
    return items.map((item) => (failures.has(item) ? { status: 'rejected', reason: failures.get(item) } : undefined));
  }

  /** @returns the failed ones, and then nothing has happened; null: all is done */
  private async attempt(
    { xid, parkedId, signal, invoke }: TransactionalCall,
    items: readonly EffectPlace[],
  ): Promise<Map<EffectPlace, unknown> | null> {
    const { handler, store, isBatch } = this;
    let opened = 0;
    try {
      await store.run({
        handler,
        places: items,
        xid,
        parkedId,
        signal,
        body: async (client, open) => {
          opened = open.length;
          const mine = open.map((index) => items[index]!);
          const result: unknown = await invoke(client, mine);
          const failed = isBatch ? failedItems(result, mine) : null;
          if (failed !== null) throw new PartlyFailed(failed);
        },
      });
      this.repeats += items.length - opened;
      return null;
    } catch (error) {
      if (error instanceof PartlyFailed) return error.failed;
      if (error instanceof SlotInUseError && !signal.aborted) this.onSuperseded(error);
      throw error;
    }
  }
}

/** Rolls a transaction back. Never seen outside. */
class PartlyFailed extends Error {
  constructor(readonly failed: Map<EffectPlace, unknown>) {
    super('Some items of an array have failed');
  }
}
