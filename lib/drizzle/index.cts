/**
 * The same for `require`, with the types that Drizzle has for it: they are others than those for `import`, and a table of one
 * kind does not fit a database of the other.
 */
import adapter = require('./index.js');

type Schemas = Record<string, unknown>;
type NoSchema = Record<string, never>;
type Adapter<Extra extends object> = import('../interfaces/transaction-adapter.interface.js', {
  with: { 'resolution-mode': 'import' },
}).TransactionAdapter<Extra>;
type Context = import('../interfaces/handler.interface.js', {
  with: { 'resolution-mode': 'import' },
}).TransactionalContext;

// eslint-disable-next-line @typescript-eslint/no-namespace
declare namespace forRequire {
  interface DrizzleOptions<Schema extends Schemas = NoSchema> {
    readonly schema?: Schema;
    readonly casing?: 'snake_case' | 'camelCase';
    readonly logger?: import('drizzle-orm').Logger;
  }
  type DrizzleDatabase<Schema extends Schemas = NoSchema> = import('drizzle-orm/pg-core').PgTransaction<
    import('drizzle-orm/node-postgres').NodePgQueryResultHKT,
    Schema,
    import('drizzle-orm').ExtractTablesWithRelations<Schema>
  >;
  interface DrizzleContext<Schema extends Schemas = NoSchema> extends Context {
    readonly db: DrizzleDatabase<Schema>;
  }
}

interface ForRequire {
  drizzle<Schema extends Schemas = NoSchema>(
    options?: forRequire.DrizzleOptions<Schema>,
  ): Adapter<{ readonly db: forRequire.DrizzleDatabase<Schema> }>;
  readonly drizzleParsers: Readonly<Record<string, (text: string) => string>>;
}

const { drizzle, drizzleParsers } = adapter;
const forRequire = { drizzle, drizzleParsers } as unknown as ForRequire;

export = forRequire;
