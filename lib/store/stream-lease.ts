/**
 * Whether the stream is still ours. The row of the slot in our own tables counts take-overs (`epoch`); what was written
 * under an earlier count is refused, so that a process that was frozen cannot write behind the back of its successor.
 */
export class StreamLease {
  /**
   * Set when the stream is taken over. Null: nothing counts, as before the first take-over, for a temporary slot, which
   * ends with its connection, or where our tables cannot be used.
   */
  epoch: bigint | null = null;

  /** @param slotName of the row that counts; null: the store's own slot */
  constructor(readonly slotName: string | null) {}
}
