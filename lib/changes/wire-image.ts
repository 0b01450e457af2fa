import type { CachedRelation } from '../decoder/relation-cache.js';

/**
 * One change as it came over the wire, with what is needed to read it again: a copy of the pgoutput message, and its
 * table as the server described it. What is parked or spilled is kept so, and read by the parsers of the process that
 * takes it up: a value that went through JSON would not be what node-postgres gives.
 */
export interface WireImage {
  readonly cached: CachedRelation;
  /** Insert, Update or Delete as it came; a Truncate of this one table. */
  readonly message: Buffer;
}

/** Copies what was read last, where it lies. Not to be called any more once the next change is about to be read. */
export type CaptureImage = () => WireImage;
