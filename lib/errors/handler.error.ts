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

/** A guard has refused a change: a failure, which the handler's policy decides about. `cause` is what the guard threw. @publicApi */
export class GuardRefusalError extends PgListenerError {
  readonly code = 'PG_LISTENER_GUARD_REFUSAL';
  /** Name of the guard's class. */
  declare readonly guard: string;

  constructor(guard: string, cause: unknown) {
    super(`The guard ${guard} refuses it`, {
      cause,
      hint: 'a refused change has failed. Let the guard throw SkipChange to pass it over; one that is about requests returns true where isPgListenerContext(context).',
    });
    Object.defineProperty(this, 'guard', { value: guard });
  }

  override get fatal(): boolean {
    return false;
  }
}

/** What a schema finds wrong, in the words of its library. */
interface RowIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** A row that the handler's `schema` does not take. No other try mends that: the attempts count as used up. @publicApi */
export class RowSchemaError extends PgListenerError {
  readonly code = 'PG_LISTENER_ROW_SCHEMA';
  /** As the schema's library tells them; they may hold values of the row, which the message does not. */
  declare readonly issues: readonly RowIssue[];

  constructor(table: string, columns: readonly string[], issues: readonly RowIssue[], hint: string) {
    const where = columns.length === 0 ? '' : `: ${columns.join(', ')}`;
    super(`A row of ${table} does not fit the handler's schema${where}`, { hint });
    // Not enumerable: whoever logs the error must not log values of the row.
    Object.defineProperty(this, 'issues', { value: issues });
  }

  override get fatal(): boolean {
    return false;
  }
}

/** A class or an object that stands for a table, and of which no ORM tells the table. @publicApi */
export class TableSourceError extends PgListenerError {
  readonly code = 'PG_LISTENER_TABLE_SOURCE';

  /** @param what the class or object; the message goes on with the problem */
  constructor(what: string, problem: string, cause?: unknown) {
    super(`${what} ${problem}`, {
      cause,
      hint: "name a class with TypeORM's @Entity(), a Drizzle table of pg-core, or the table itself: 'orders', table<Order>('orders').",
    });
  }
}
