import { SchemaChangeEvent, type TableDescription } from '../../changes/schema-change.js';
import { differencesOf } from '../../changes/schema-differences.js';
import { TablePattern } from '../../changes/table-pattern.js';
import { tableKey } from '../../changes/transaction.js';
import { isBeyond } from '../../changes/wal-position.js';
import { SlotInUseError } from '../../errors/replication.error.js';
import type { StreamHistory } from '../../interfaces/effects-store.interface.js';
import type { TableShape } from '../../interfaces/schema-change.interface.js';
import type { KnownShape, SchemaStore } from '../../interfaces/schema-store.interface.js';
import type { HandlerRunner } from '../handler-runner.js';

interface SchemaHandler {
  readonly pattern: TablePattern;
  readonly runner: HandlerRunner;
}

/** What a description brings. */
export interface SchemaNews {
  /** Null: the first sight of a table. */
  readonly change: SchemaChangeEvent | null;
  /** In discovery order. */
  readonly runners: readonly HandlerRunner[];
}

/**
 * How each table was described last, as far as handlers have been told: by that, a description is news or is not. What is
 * known is written down once its handlers have settled, so that a crash in between brings it again, and with its place in
 * the log, so that what comes again from before it is not taken for a change back.
 */
export class SchemaBook {
  private readonly handlers: readonly SchemaHandler[];
  /** What was known last under a name. */
  private readonly byName = new Map<string, KnownShape>();
  /** What was known last of a table, whatever its name was. */
  private readonly byOid = new Map<number, KnownShape>();
  /** Counts what was learnt here. */
  private learnt = 0;

  /** @param store null: what the process knows counts */
  constructor(
    runners: readonly HandlerRunner[],
    private readonly store: SchemaStore | null,
    private readonly onSuperseded: (error: SlotInUseError) => void,
  ) {
    this.handlers = runners
      .filter(({ definition }) => definition.kind === 'schema')
      .map((runner) => ({ runner, pattern: new TablePattern(runner.definition.tables) }));
  }

  get isEmpty(): boolean {
    return this.handlers.length === 0;
  }

  /** The stream runs: another process may have told handlers of changes since. @throws PgListenerError */
  async open(history: StreamHistory): Promise<void> {
    if (this.isEmpty || this.store === null) return;
    let learnt: number;
    let found: readonly KnownShape[] | null;
    do {
      ({ learnt } = this);
      found = await this.store.load(history);
    } while (learnt !== this.learnt);
    if (found === null) return;
    this.byName.clear();
    this.byOid.clear();
    for (const each of found) this.know(each);
  }

  /** Null: it says what is known, is of a time before, or is nobody's business. */
  newsOf(description: TableDescription): SchemaNews | null {
    const { shape } = description;
    const key = tableKey(shape);
    const named = this.byName.get(key);
    const same = this.byOid.get(shape.oid);
    const elsewhere = same === undefined || tableKey(same.shape) === key ? undefined : same;
    if (isPast(description, named) || isPast(description, elsewhere)) return null;
    const before = named === undefined || named.shape.oid === shape.oid ? (elsewhere ?? named) : named;
    const previous = description.previous ?? before?.shape;
    const runners = this.runnersOf(shape, previous, elsewhere?.shape);
    if (runners.length === 0) return null;
    if (previous === undefined) return { change: null, runners: [] };
    const differences = differencesOf(previous, shape, elsewhere?.shape);
    if (differences.length === 0) return null;
    return { change: new SchemaChangeEvent(description, previous, differences), runners };
  }

  /** Its handlers have settled. @throws SlotInUseError where another process has taken over; else what the database says */
  async settled(description: TableDescription): Promise<void> {
    // In a test: it says itself what was before.
    if (description.previous !== undefined) return;
    const { shape } = description;
    try {
      if (description.history !== null) await this.store?.record(shape, description);
    } catch (error) {
      if (error instanceof SlotInUseError) this.onSuperseded(error);
      throw error;
    }
    this.learnt++;
    this.know({ shape, since: description });
  }

  async close(): Promise<void> {
    await this.store?.close();
  }

  private know(known: KnownShape): void {
    this.byName.set(tableKey(known.shape), known);
    this.byOid.set(known.shape.oid, known);
  }

  /** Who listens to the table by any name that it has had. */
  private runnersOf(...shapes: readonly (TableShape | undefined)[]): HandlerRunner[] {
    return this.handlers
      .filter(({ pattern }) =>
        shapes.some((shape) => shape !== undefined && pattern.matches(shape.schema, shape.table)),
      )
      .map(({ runner }) => runner);
  }
}

/** It comes again: what lies behind it is known. */
function isPast(description: TableDescription, known: KnownShape | undefined): boolean {
  const since = known?.since ?? null;
  return since !== null && since.history === description.history && !isBeyond(description, since);
}
