import type {
  Change,
  DeleteChange,
  InsertChange,
  TruncateChange,
  UpdateChange,
} from '../interfaces/change.interface.js';
import type { StreamHistory } from '../interfaces/effects-store.interface.js';
import type { WalPosition } from '../interfaces/wal-position.interface.js';
import type { Row } from '../decoder/pgoutput-messages.js';
import type { RowKey } from '../decoder/row-key.js';
import { setOwn } from '../types/rich/own-property.js';
import type { Lsn } from '../protocol/lsn.js';
import type { TableName, TransactionInfo } from './transaction.js';

export { OperationBit, type RowOperation } from '../decoder/pgoutput-messages.js';

const NOTHING: readonly string[] = [];
const INSPECT = Symbol.for('nodejs.util.inspect.custom');

/** Where the publisher stands: the change's own WAL record, and its place in the transaction. */
export interface ChangePlace {
  readonly walHigh: number;
  readonly walLow: number;
  readonly ordinal: number;
  readonly index: number;
}

/**
 * One change of one row, or the truncation of one table. What is the same for a whole transaction or table is read
 * through shared objects, so that a change is small; texts are built when somebody asks.
 */
abstract class ChangeEvent implements WalPosition {
  abstract readonly operation: 'insert' | 'update' | 'delete' | 'truncate';
  readonly index: number;
  /** @internal */ readonly walHigh: number;
  /** @internal */ readonly walLow: number;
  /** @internal */ readonly ordinal: number;

  constructor(
    /** @internal */ readonly transaction: TransactionInfo,
    /** @internal */ readonly relation: TableName,
    place: ChangePlace,
  ) {
    this.index = place.index;
    this.walHigh = place.walHigh;
    this.walLow = place.walLow;
    this.ordinal = place.ordinal;
  }

  get app(): string {
    return this.transaction.app;
  }
  get schema(): string {
    return this.relation.schema;
  }
  get table(): string {
    return this.relation.table;
  }
  get lsn(): string {
    return this.transaction.lsn;
  }
  get id(): string {
    return `${this.transaction.lsn}/${this.index}`;
  }
  get xid(): number {
    return this.transaction.xid;
  }
  get commitTimestamp(): Date {
    return this.transaction.commitTimestamp;
  }
  /** @internal */
  get history(): StreamHistory | null {
    return this.transaction.history;
  }
  /** @internal */
  get commitLsn(): Lsn {
    return this.transaction.commitLsn;
  }

  toJSON(): Record<string, unknown> {
    return bigintsAsText({ ...this.head(), ...this.body() }) as Record<string, unknown>;
  }

  /** `console.log(change)` shows what the change says, not how it is kept. */
  [INSPECT](_depth: number, options: object, inspect?: (value: unknown, options: object) => string): unknown {
    const plain = { ...this.head(), ...this.body() };
    return inspect === undefined ? plain : `${this.constructor.name} ${inspect(plain, options)}`;
  }

  protected abstract body(): Record<string, unknown>;

  private head(): Record<string, unknown> {
    const { app, operation, schema, table, id, lsn, index, xid, commitTimestamp } = this;
    return { app, operation, schema, table, id, lsn, index, xid, commitTimestamp };
  }
}

export class Insert extends ChangeEvent implements InsertChange<Row> {
  readonly operation = 'insert';
  constructor(
    transaction: TransactionInfo,
    relation: TableName,
    place: ChangePlace,
    readonly record: Row,
  ) {
    super(transaction, relation, place);
  }
  /** @internal The same change with another row: other handlers have this one. */
  withRecord(record: Row): Insert {
    return new (this.constructor as typeof Insert)(this.transaction, this.relation, this, record);
  }
  protected body(): Record<string, unknown> {
    return { record: this.record };
  }
}

export class Update extends ChangeEvent implements UpdateChange<Row> {
  readonly operation = 'update';
  constructor(
    transaction: TransactionInfo,
    relation: TableName,
    place: ChangePlace,
    readonly record: Row,
    readonly oldRecord: Row | null,
    readonly changedColumns: readonly string[] | null,
    readonly unchangedToast: readonly string[],
    /** Where what was not sent may be read: its row. @internal */
    readonly rowKey: RowKey | null = null,
    readonly rereadToast: readonly string[] = NOTHING,
  ) {
    super(transaction, relation, place);
  }

  hasColumn<K extends string>(column: K): this is this & { readonly record: { readonly [P in K]: unknown } } {
    return Object.hasOwn(this.record, column);
  }

  /** The same, with columns that were read again. @internal */
  filledWith(values: ReadonlyMap<string, unknown>): Update {
    const { transaction, relation, record, oldRecord, changedColumns, unchangedToast, rowKey } = this;
    const left = unchangedToast.filter((name) => !values.has(name));
    const read = unchangedToast.filter((name) => values.has(name));
    const whole = { ...record };
    for (const name of read) setOwn(whole, name, values.get(name));
    return new Update(transaction, relation, this, whole, oldRecord, changedColumns, left, rowKey, read);
  }

  /** @internal The same change with another row: other handlers have this one. */
  withRecord(record: Row): Update {
    const { transaction, relation, oldRecord, changedColumns, unchangedToast, rowKey, rereadToast } = this;
    return new (this.constructor as typeof Update)(
      transaction,
      relation,
      this,
      record,
      oldRecord,
      changedColumns,
      unchangedToast,
      rowKey,
      rereadToast,
    );
  }
  protected body(): Record<string, unknown> {
    const { record, oldRecord, changedColumns, unchangedToast, rereadToast } = this;
    return { record, oldRecord, changedColumns, unchangedToast, rereadToast };
  }
}

export class Delete extends ChangeEvent implements DeleteChange<Row> {
  readonly operation = 'delete';
  constructor(
    transaction: TransactionInfo,
    relation: TableName,
    place: ChangePlace,
    readonly oldRecord: Row | null,
  ) {
    super(transaction, relation, place);
  }
  protected body(): Record<string, unknown> {
    return { oldRecord: this.oldRecord };
  }
}

export class Truncate extends ChangeEvent implements TruncateChange {
  readonly operation = 'truncate';
  constructor(
    transaction: TransactionInfo,
    relation: TableName,
    place: ChangePlace,
    readonly cascade: boolean,
    readonly restartIdentity: boolean,
  ) {
    super(transaction, relation, place);
  }
  protected body(): Record<string, unknown> {
    return { cascade: this.cascade, restartIdentity: this.restartIdentity };
  }
}

export type RowChange = Insert | Update | Delete | Truncate;

/** A change as the public union; the classes implement its members one by one. */
export function asChange(change: RowChange): Change {
  return change;
}

/** JSON knows no bigint, and a user's parser may give one anywhere in a value. */
function bigintsAsText(value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString();
  if (Array.isArray(value)) return value.map(bigintsAsText);
  if (value !== null && typeof value === 'object' && isPlain(value)) {
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, bigintsAsText(inner)]));
  }
  return value;
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype as object) === null;
}
