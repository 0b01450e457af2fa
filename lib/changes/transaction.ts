import type { Change, Operation } from '../interfaces/change.interface.js';
import type { StreamHistory } from '../interfaces/effects-store.interface.js';
import type { Transaction, TransactionContext, TransactionSummary } from '../interfaces/transaction.interface.js';
import { formatLsn, type Lsn } from '../protocol/lsn.js';
import { parseTableName } from './table-pattern.js';

/** A table as changes and counts refer to it; one object for each Relation message. */
export interface TableName {
  readonly schema: string;
  readonly table: string;
}

/** One text for a table's name, for maps. */
export function tableKey({ schema, table }: TableName): string {
  return `${schema}\0${table}`;
}

const OPERATION_INDEX = { insert: 0, update: 1, delete: 2, truncate: 3, snapshot: 4 } as const;

/** Identity of a transaction, shared by all of its changes. */
export class TransactionInfo implements TransactionContext {
  origin: string | null = null;
  private lsnText: string | undefined;

  constructor(
    readonly app: string,
    readonly commitLsn: Lsn,
    readonly xid: number,
    readonly commitTimestamp: Date,
    /** @internal Of the stream that brought it; null: none has. */
    readonly history: StreamHistory | null = null,
  ) {}

  get lsn(): string {
    return (this.lsnText ??= formatLsn(this.commitLsn));
  }

  /** `console.log(context)` shows what it says, not how it is kept. */
  [Symbol.for('nodejs.util.inspect.custom')](): TransactionContext {
    const { lsn, xid, commitTimestamp, origin } = this;
    return { lsn, xid, commitTimestamp, origin };
  }
}

/** Counts the changes of one transaction by table and operation, without keeping any. */
export class TransactionTally {
  size = 0;
  private readonly tables = new Map<TableName, number[]>();
  private lastTable: TableName | undefined;
  private lastCounts: number[] = [];

  add(table: TableName, operation: Operation): void {
    this.size++;
    if (table !== this.lastTable) this.select(table);
    this.lastCounts[OPERATION_INDEX[operation]]!++;
  }

  count(tableName?: string, operation?: Operation): number {
    const wanted = tableName === undefined ? undefined : parseTableName(tableName);
    let sum = 0;
    for (const [table, counts] of this.tables) {
      if (wanted !== undefined && (wanted.schema !== table.schema || wanted.table !== table.table)) continue;
      sum += operation === undefined ? counts.reduce((a, b) => a + b, 0) : counts[OPERATION_INDEX[operation]]!;
    }
    return sum;
  }

  private select(table: TableName): void {
    let counts = this.tables.get(table);
    if (counts === undefined) this.tables.set(table, (counts = [0, 0, 0, 0, 0]));
    this.lastTable = table;
    this.lastCounts = counts;
  }
}

/** A transaction whose Commit has arrived. */
export class CommittedTransaction implements TransactionSummary {
  constructor(
    readonly info: TransactionInfo,
    private readonly tally: TransactionTally,
  ) {}

  get app(): string {
    return this.info.app;
  }
  get lsn(): string {
    return this.info.lsn;
  }
  get xid(): number {
    return this.info.xid;
  }
  get commitTimestamp(): Date {
    return this.info.commitTimestamp;
  }
  get origin(): string | null {
    return this.info.origin;
  }
  get size(): number {
    return this.tally.size;
  }

  count(table?: string, operation?: Operation): number {
    return this.tally.count(table, operation);
  }

  /** With its changes, for `@OnTransaction`. */
  withChanges(changes: AsyncIterable<Change>): Transaction {
    return new WholeTransaction(this.info, this.tally, changes);
  }
}

class WholeTransaction extends CommittedTransaction implements Transaction {
  constructor(
    info: TransactionInfo,
    tally: TransactionTally,
    readonly changes: AsyncIterable<Change>,
  ) {
    super(info, tally);
  }
}
