import type { ParkingRequest } from './parked-store.interface.js';

/** What becomes of a call that has failed; keep: it was parked before, and stays so. */
export type CallVerdict = 'retry' | 'park' | 'skip' | 'halt' | 'keep';

/** A call that has failed. */
export interface JudgedCall {
  /** What it has thrown, as it is. */
  readonly error: unknown;
  /** From 1. */
  readonly attempt: number;
  readonly verdict: CallVerdict;
}

/** Looks on at what becomes of changes that could not be handled: the testing kit. */
export interface DeliveryWatch {
  /** A call has failed. @param handler its id */
  judged(handler: string, call: JudgedCall): void;
  /** It is kept for later, because its handler has failed, or because it waits behind one that is. */
  parked(request: ParkingRequest): void;
}
