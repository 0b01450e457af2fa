import { tableKey, type TableName } from '../../changes/transaction.js';
import { WHOLE_TABLE, type ParkedKeys } from '../../interfaces/parked-store.interface.js';

/** Which keys are parked for one handler: what comes for them waits behind. Counts, for several may wait at one key. */
export class ParkedIndex {
  size = 0;
  private readonly tables = new Map<string, { count: number; readonly keys: Map<string, number> }>();

  /** Whether a change of these keys has to wait. */
  holds(table: TableName, keys: readonly string[]): boolean {
    const parked = this.tables.get(tableKey(table));
    if (parked === undefined) return false;
    // A truncate, or a change whose key is not known, waits for every key of its table.
    if (keys.includes(WHOLE_TABLE)) return parked.count > 0;
    return parked.keys.has(WHOLE_TABLE) || keys.some((key) => parked.keys.has(key));
  }

  add({ schema, table, keys }: Pick<ParkedKeys, 'schema' | 'table' | 'keys'>): void {
    this.size++;
    if (schema === null || table === null) return;
    const name = tableKey({ schema, table });
    let parked = this.tables.get(name);
    if (parked === undefined) this.tables.set(name, (parked = { count: 0, keys: new Map() }));
    parked.count++;
    for (const key of keys) parked.keys.set(key, (parked.keys.get(key) ?? 0) + 1);
  }

  remove({ schema, table, keys }: Pick<ParkedKeys, 'schema' | 'table' | 'keys'>): void {
    this.size--;
    if (schema === null || table === null) return;
    const name = tableKey({ schema, table });
    const parked = this.tables.get(name);
    if (parked === undefined) return;
    if (--parked.count === 0) {
      this.tables.delete(name);
      return;
    }
    for (const key of keys) {
      const count = parked.keys.get(key)! - 1;
      if (count === 0) parked.keys.delete(key);
      else parked.keys.set(key, count);
    }
  }
}
