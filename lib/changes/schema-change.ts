import type { Relation } from '../decoder/pgoutput-messages.js';
import type { OidDatabase } from '../decoder/oid-database.js';
import type { EffectPlace, StreamHistory } from '../interfaces/effects-store.interface.js';
import type { SchemaChange, SchemaDifference, TableShape } from '../interfaces/schema-change.interface.js';
import type { WalPosition } from '../interfaces/wal-position.interface.js';
import type { Lsn } from '../protocol/lsn.js';
import type { TransactionInfo } from './transaction.js';

/** What a Relation message says, with the names of types that the server has told. */
export function shapeOf({ id, schema, table, replicaIdentity, columns }: Relation, oids: OidDatabase): TableShape {
  return {
    oid: id,
    schema,
    table,
    replicaIdentity,
    columns: columns.map(({ name, typeOid, typeModifier, isKey }) => ({
      name,
      typeOid,
      typeName: oids.nameOf(typeOid) ?? null,
      typeModifier,
      isKey,
    })),
  };
}

/**
 * From here on, in its transaction, a table is described so: whether that is news, its reader knows. Its place is that of
 * the first change behind it.
 */
export class TableDescription implements EffectPlace {
  readonly walHigh: number;
  readonly walLow: number;
  readonly ordinal: number;

  constructor(
    readonly transaction: TransactionInfo,
    place: Pick<WalPosition, 'walHigh' | 'walLow' | 'ordinal'>,
    readonly shape: TableShape,
    /** How it was described before, in a test; undefined: whoever keeps descriptions knows it. */
    readonly previous?: TableShape,
  ) {
    this.walHigh = place.walHigh;
    this.walLow = place.walLow;
    this.ordinal = place.ordinal;
  }

  get commitLsn(): Lsn {
    return this.transaction.commitLsn;
  }
  get history(): StreamHistory | null {
    return this.transaction.history;
  }
}

export class SchemaChangeEvent implements SchemaChange {
  readonly current: TableShape;

  constructor(
    /** @internal */ private readonly description: TableDescription,
    readonly previous: TableShape,
    readonly differences: readonly SchemaDifference[],
  ) {
    this.current = description.shape;
  }

  get app(): string {
    return this.description.transaction.app;
  }
  get schema(): string {
    return this.current.schema;
  }
  get table(): string {
    return this.current.table;
  }
  get lsn(): string {
    return this.description.transaction.lsn;
  }
  get xid(): number {
    return this.description.transaction.xid;
  }
  get commitTimestamp(): Date {
    return this.description.transaction.commitTimestamp;
  }

  toJSON(): SchemaChange {
    const { app, schema, table, lsn, xid, commitTimestamp, previous, current, differences } = this;
    return { app, schema, table, lsn, xid, commitTimestamp, previous, current, differences };
  }

  [Symbol.for('nodejs.util.inspect.custom')](): SchemaChange {
    return this.toJSON();
  }
}
