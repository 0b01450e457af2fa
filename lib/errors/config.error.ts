import { PgListenerError } from './pg-listener.error.js';

/** One fault of the options. */
export interface ConfigFault {
  /** Path of the option, such as `limits.changes`. */
  readonly path: string;
  /** What is wrong, with the kind of value found (never the value of a secret) and the mend. */
  readonly problem: string;
}

/**
 * The options of an app are invalid. All faults are told at once.
 *
 * @publicApi
 */
export class PgListenerConfigError extends PgListenerError {
  readonly code = 'PG_LISTENER_CONFIG';
  declare readonly faults: readonly ConfigFault[];

  constructor(app: string, faults: readonly ConfigFault[]) {
    const list = faults.map((fault) => `\n  - ${fault.path}: ${fault.problem}`).join('');
    super(`PgListenerModule options of app "${app}" are invalid:${list}`);
    Object.defineProperty(this, 'faults', { value: faults });
  }
}
