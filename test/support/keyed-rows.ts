import type { Change } from 'nestjs-pg-listener';
import { connect } from './database.js';

/** A row of the table `rows`: its version goes up by one with everything that happens to it. */
interface KeyedRow {
  readonly id: number;
  readonly version: number;
}

/** SQL of a table whose rows a `RowMirror` can follow. */
export const KEYED_ROWS = 'CREATE TABLE rows (id int PRIMARY KEY, version int NOT NULL)';

/**
 * What a handler makes of the changes of `rows`: the table again, where each change fits what is there. One that comes
 * before its time, twice, or beside another one of its row does not fit.
 */
export class RowMirror {
  readonly rows = new Map<number, number>();
  /** What did not fit. */
  readonly faults: string[] = [];
  handled = 0;
  running = 0;
  mostRunning = 0;
  private readonly busy = new Set<number>();

  /** Checks at the beginning, and takes effect at the end: what runs beside it sees the rows as they were. */
  async apply(change: Change<KeyedRow>, work: () => Promise<unknown>): Promise<void> {
    const keys = keysOf(change);
    if (keys.some((key) => this.busy.has(key))) this.faults.push(`${change.id}: another change of its row runs`);
    const fault = this.faultOf(change);
    if (fault !== null) this.faults.push(`${change.operation} ${change.id}: ${fault}`);
    for (const key of keys) this.busy.add(key);
    this.mostRunning = Math.max(this.mostRunning, ++this.running);
    await work();
    this.running--;
    for (const key of keys) this.busy.delete(key);
    for (const key of keys) this.rows.delete(key);
    if (change.operation === 'insert' || change.operation === 'update') {
      this.rows.set(change.record.id, change.record.version);
    }
    this.handled++;
  }

  private faultOf(change: Change<KeyedRow>): string | null {
    const { rows } = this;
    switch (change.operation) {
      case 'insert':
        return rows.has(change.record.id) ? `row ${change.record.id} is there already` : null;
      case 'update': {
        const { id, version } = change.record;
        const before = change.oldRecord?.id ?? id;
        if (before !== id && rows.has(id)) return `row ${id} is there already`;
        return rows.get(before) === version - 1
          ? null
          : `row ${before} had version ${rows.get(before)}, not ${version - 1}`;
      }
      case 'delete':
        return rows.has(change.oldRecord?.id ?? -1) ? null : `row ${change.oldRecord?.id} is not there`;
      default:
        return 'nobody asked for it';
    }
  }
}

function keysOf(change: Change<KeyedRow>): number[] {
  if (change.operation === 'insert') return [change.record.id];
  if (change.operation === 'delete') return [change.oldRecord?.id ?? -1];
  if (change.operation !== 'update') return [];
  const before = change.oldRecord?.id ?? change.record.id;
  return before === change.record.id ? [before] : [before, change.record.id];
}

/**
 * Writes transactions of one to ten changes to the rows from `first` on: updates, moves to another key, deletes and
 * inserts again. Each writer has rows of its own.
 *
 * @param others keys beyond these rows that none of them has, as many as there are rows
 * @returns how many changes were made
 */
export async function writeKeyedRows(
  url: string,
  { first, count, others }: { readonly first: number; readonly count: number; readonly others: number },
  transactions: number,
): Promise<number> {
  const client = await connect(url);
  await client.query(`INSERT INTO rows SELECT n, 1 FROM generate_series(${first}, ${first + count - 1}) n`);
  /** Of each row: the key that it has now, and its version; null: deleted. */
  const rows = Array.from({ length: count }, (_, row) => ({
    home: first + row,
    away: others + row,
    id: first + row,
    version: 1,
  }));
  const gone = new Set<number>();
  let changes = count;
  const change = (index: number): string => {
    const row = rows[index]!;
    changes++;
    if (gone.delete(index)) return `INSERT INTO rows VALUES (${row.id}, ${++row.version})`;
    const dice = Math.random();
    if (dice < 0.15) {
      gone.add(index);
      return `DELETE FROM rows WHERE id = ${row.id}`;
    }
    const before = row.id;
    if (dice < 0.4) row.id = before === row.home ? row.away : row.home;
    return `UPDATE rows SET id = ${row.id}, version = ${++row.version} WHERE id = ${before}`;
  };
  for (let transaction = 0; transaction < transactions; transaction++) {
    // Some rows are hot.
    const hot = Math.random() < 0.2 ? 5 : count;
    const size = 1 + Math.floor(Math.random() * 10);
    const sql = Array.from({ length: size }, () => change(Math.floor(Math.random() * hot)));
    await client.query(['BEGIN', ...sql, 'COMMIT'].join(';'));
  }
  await client.end();
  return changes;
}
