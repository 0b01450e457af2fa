import { PgListenerError } from './pg-listener.error.js';

/** Decorated handlers that cannot work. All mistakes are told at once, at boot. @publicApi */
export class HandlerDefinitionError extends PgListenerError {
  readonly code = 'PG_LISTENER_HANDLERS';
  declare readonly mistakes: readonly string[];

  constructor(mistakes: readonly string[]) {
    super(`Handlers are declared wrongly:${mistakes.map((mistake) => `\n  - ${mistake}`).join('')}`);
    Object.defineProperty(this, 'mistakes', { value: mistakes });
  }
}

/** A table name or pattern that cannot be read. @publicApi */
export class TablePatternError extends PgListenerError {
  readonly code = 'PG_LISTENER_TABLE_PATTERN';

  constructor(pattern: string, problem: string) {
    super(`Table pattern ${JSON.stringify(pattern)} ${problem}`, {
      hint: `write 'table', 'schema.table', 'schema.*', '*' or '!pattern'; put names with dots in double quotes.`,
    });
  }
}

/** A transaction is too large for the `@OnTransaction` handlers of the app. @publicApi */
export class TransactionTooLargeError extends PgListenerError {
  readonly code = 'PG_LISTENER_TRANSACTION_TOO_LARGE';

  constructor(app: string, lsn: string, limit: string) {
    super(`The transaction committed at ${lsn} is larger than ${limit}, and @OnTransaction handlers need it whole`, {
      app,
      hint:
        'raise limits.changes and limits.bytes, or use @OnTableChange, which takes transactions of any size in flat ' +
        'memory. Nothing was confirmed past the transaction before it.',
    });
  }
}
