import type { ListenerLogger } from '../../interfaces/listener-logger.interface.js';

/** Transactions of a handler that are remembered: what it writes comes back soon, or not at all. */
const MOST = 1_000;
const XID_MASK = 0xffffffffn;

/** Tells of a handler that listens to what it writes itself: it would go on for ever. */
export class OwnWrites {
  /** By handler; ids as the stream has them, oldest first. */
  private readonly written = new Map<string, Set<number>>();
  private readonly told = new Set<string>();

  constructor(private readonly logger: ListenerLogger) {}

  /** @param xid of 64 bits, as text */
  add(handler: string, xid: string): void {
    if (this.told.has(handler)) return;
    let written = this.written.get(handler);
    if (written === undefined) this.written.set(handler, (written = new Set()));
    if (written.size === MOST) written.delete(written.values().next().value!);
    written.add(Number(BigInt(xid) & XID_MASK));
  }

  /** @param xid of the transaction that a change belongs to */
  look(handler: string, xid: number): void {
    if (this.written.get(handler)?.has(xid) !== true) return;
    this.told.add(handler);
    this.written.delete(handler);
    this.logger.warn(
      `Handler ${handler} is called for a change that it has made itself: unless it stops by itself, it goes on for ever. ` +
        "Let it write to tables that it does not listen to, or set `origin: 'none'` (PostgreSQL 16 and later)",
    );
  }
}
