import { PgListenerError } from './pg-listener.error.js';

/** An optional peer that a subpath needs is not installed. @publicApi */
export class MissingPeerError extends PgListenerError {
  readonly code = 'PG_LISTENER_MISSING_PEER';

  /** @param peer its name in the registry */
  constructor(peer: string, neededBy: string, cause: unknown) {
    super(`${neededBy} needs the package ${peer}, which cannot be loaded`, {
      cause,
      hint: `npm install ${peer}`,
    });
  }
}
