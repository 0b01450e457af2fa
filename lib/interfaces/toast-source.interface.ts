import type { Update } from '../changes/change.js';

/** Reads again, from their tables, columns that the server did not send. */
export interface ToastSource {
  /**
   * @returns for each update its columns by name, or null where its row is gone or cannot be found
   * @throws PgListenerError where the server cannot be asked now; the driver's error where it refuses
   */
  read(updates: readonly Update[]): Promise<readonly (ReadonlyMap<string, unknown> | null)[]>;
}
