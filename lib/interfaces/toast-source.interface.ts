import type { Update } from '../changes/change.js';

/** Why a value was not read, and is not to be asked for again. */
export class ToastRefusal {
  /**
   * @param code the server's (SQLSTATE), or another one: a reason is told once for a table and a code
   * @param reason without a value of a row
   */
  constructor(
    readonly code: string,
    readonly reason: string,
  ) {}
}

/** The columns of one update by name; null: its row is gone. */
export type ToastOutcome = ReadonlyMap<string, unknown> | ToastRefusal | null;

/** Reads again, from their tables, columns that the server did not send. */
export interface ToastSource {
  /**
   * @returns an outcome for each update: what is refused of one says nothing about another
   * @throws where the server cannot be asked now
   */
  read(updates: readonly Update[]): Promise<readonly ToastOutcome[]>;
}
