import type { ParkingRequest } from './parked-store.interface.js';

/** What becomes of a call that has failed. */
export type CallVerdict = 'retry' | 'park' | 'skip' | 'halt';

/** Looks on at what becomes of changes that could not be handled: the testing kit. */
export interface DeliveryWatch {
  /** A call has failed. @param handler its id @param error what it has thrown, as it is */
  judged(handler: string, error: unknown, verdict: CallVerdict): void;
  /** It is kept for later, because its handler has failed, or because it waits behind one that is. */
  parked(request: ParkingRequest): void;
}
