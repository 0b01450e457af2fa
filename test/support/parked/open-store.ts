import { DatabaseTypes, type ValueOptions } from '#lib/connection/database-types.js';
import { PgParkedStore, type PgParkedStoreOptions } from '#lib/store/parked.store.js';
import { LogCollector } from '../application.js';

let stores = 0;

/** A store that shares its rows with nobody, where no slot is given. */
export function openStore(
  connectionString: string,
  { customTypes, rich = false, ...options }: Partial<PgParkedStoreOptions & ValueOptions> = {},
): PgParkedStore & { readonly logs: LogCollector } {
  const logs = new LogCollector();
  const store = new PgParkedStore(
    { app: 'default', connection: { connectionString } },
    {
      slotName: `slot_${stores++}`,
      app: 'default',
      types: new DatabaseTypes({ customTypes, rich, parsers: {} }, logs),
      lease: { slotName: null, epoch: null },
      isFailover: false,
      logger: logs,
      ...options,
    },
  );
  return Object.assign(store, { logs });
}
