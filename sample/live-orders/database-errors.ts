import { ServiceUnavailableException } from '@nestjs/common';
import { reasonOf } from '../boot/database-errors.js';

/** A statement that failed, for the page: the database's own text is no secret on one's own machine. */
export function unavailable(error: unknown): never {
  throw new ServiceUnavailableException(`The database did not take it: ${reasonOf(error)}`, { cause: error });
}
