import type { TableDescription } from '../../changes/schema-change.js';
import type { HandlerDefinition } from '../../interfaces/handler-definition.interface.js';
import { HandlerRunner, type AppHandling } from '../handler-runner.js';
import type { SchemaWork } from '../work.js';
import type { SchemaBook } from './schema-book.js';

/** As the log and the health of the app name it. */
const RECORD_ID = 'record of schemas';

/**
 * Who is called for a description: the handlers, and behind them whoever writes down that they have settled. That is a
 * handler like any other, tried again until it succeeds: what it stands for holds the position.
 */
export class SchemaCalls {
  private readonly recorder: HandlerRunner;

  constructor(
    readonly book: SchemaBook,
    handling: AppHandling,
  ) {
    const definition: HandlerDefinition = {
      id: RECORD_ID,
      app: handling.app,
      kind: 'schema',
      tables: [],
      operations: [],
      prefix: null,
      whenChanged: [],
      oldRecord: [],
      concurrency: undefined,
      batch: undefined,
      transactional: false,
      retry: undefined,
      onExhausted: 'block',
      instance: book,
      methodName: 'settled',
      callback: (description) => book.settled(description as TableDescription),
    };
    this.recorder = new HandlerRunner(definition, handling);
  }

  /** Whether it has an order with all changes: the rows before it are of another shape. */
  isChange({ description }: SchemaWork): boolean {
    return (this.book.newsOf(description)?.change ?? null) !== null;
  }

  runnersOf(work: SchemaWork): readonly HandlerRunner[] {
    const news = this.book.newsOf(work.description);
    if (news === null) return [];
    work.change = news.change;
    return [...news.runners, this.recorder];
  }

  /** What a handler gets. */
  payload({ description, change }: SchemaWork, runner: HandlerRunner): unknown {
    return runner === this.recorder ? description : change;
  }
}
