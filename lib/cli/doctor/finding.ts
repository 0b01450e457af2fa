/** `ok`: as it should be. `warning`: something will hurt one day. `error`: no listener can start, or the database suffers now. */
export type Level = 'ok' | 'warning' | 'error';

/** A statement or a step outside of the database. In order, they make the finding go away. */
export type Mend =
  | {
      readonly sql: string;
      /** Who may run it. */
      readonly by: 'superuser' | 'owner';
    }
  | { readonly step: string };

/** What one check has found. */
export interface Finding {
  /** Stable name of the check, such as `wal-level`. */
  readonly check: string;
  readonly level: Level;
  readonly what: string;
  /** Why it matters; null: it is well. */
  readonly why: string | null;
  readonly mend: readonly Mend[];
}

export function ok(check: string, what: string): Finding {
  return { check, level: 'ok', what, why: null, mend: [] };
}

export function fault(
  level: 'warning' | 'error',
  check: string,
  what: string,
  why: string,
  mend: readonly Mend[],
): Finding {
  return { check, level, what, why, mend };
}

export function bySuperuser(...statements: string[]): Mend[] {
  return statements.map((sql) => ({ sql, by: 'superuser' }));
}

export function byOwner(...statements: string[]): Mend[] {
  return statements.map((sql) => ({ sql, by: 'owner' }));
}

const MOST_NAMED = 8;

/** `a, b and 12 more`. */
export function namesText(names: readonly string[]): string {
  const rest = names.length - MOST_NAMED;
  return rest > 1 ? `${names.slice(0, MOST_NAMED).join(', ')} and ${rest} more` : names.join(', ');
}

export function countText(count: number, one: string, many = `${one}s`): string {
  return count === 1 ? `1 ${one}` : `${count} ${many}`;
}
