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
