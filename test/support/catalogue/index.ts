import { CONNECTION_FAILURES } from './connection-failures.js';
import type { FailureFamily } from './entry.js';
import { HANDLER_FAILURES } from './handler-failures.js';
import { PUBLICATION_FAILURES } from './publication-failures.js';
import { SERVER_FAILURES } from './server-failures.js';
import { SLOT_FAILURES } from './slot-failures.js';

/** Everything that is known to go wrong, in the order of docs/troubleshooting.md. */
export const FAILURES: readonly FailureFamily[] = [
  CONNECTION_FAILURES,
  SERVER_FAILURES,
  SLOT_FAILURES,
  PUBLICATION_FAILURES,
  HANDLER_FAILURES,
];
