import type { Lsn } from '../protocol/lsn.js';

/**
 * Messages of the pgoutput plugin, protocol versions 1 to 4 (manual, section 54.9 "Logical Replication Message
 * Formats"). Names are the manual's.
 */
export const PgOutputMessage = {
  Begin: 0x42, // B
  Message: 0x4d, // M
  Commit: 0x43, // C
  Origin: 0x4f, // O
  Relation: 0x52, // R
  Type: 0x59, // Y
  Insert: 0x49, // I
  Update: 0x55, // U
  Delete: 0x44, // D
  Truncate: 0x54, // T
  // Version 2: parts of transactions that are in progress.
  StreamStart: 0x53, // S
  StreamStop: 0x45, // E
  StreamCommit: 0x63, // c
  StreamAbort: 0x41, // A
  // Version 3: two-phase commit.
  BeginPrepare: 0x62, // b
  Prepare: 0x50, // P
  CommitPrepared: 0x4b, // K
  RollbackPrepared: 0x72, // r
  StreamPrepare: 0x70, // p
} as const;

export const MESSAGE_NAMES: Readonly<Record<number, string>> = Object.fromEntries(
  Object.entries(PgOutputMessage).map(([name, code]) => [code, name]),
);

export interface BeginMessage {
  /** LSN of the commit record, the same as the Commit's `commitLsn`. */
  readonly finalLsn: Lsn;
  readonly commitTimestamp: Date;
  readonly xid: number;
}

export interface CommitMessage {
  readonly commitLsn: Lsn;
  /** End of the commit record: the first byte that is not the transaction's. */
  readonly endLsn: Lsn;
}

/** The messages behind it are a part of a transaction that has not committed yet. Version 2. */
export interface StreamStartMessage {
  readonly xid: number;
  /** The first part of it. */
  readonly isFirst: boolean;
}

/** A transaction of which parts have been sent has committed. Version 2. */
export interface StreamCommitMessage extends CommitMessage {
  readonly xid: number;
  readonly commitTimestamp: Date;
}

/** A transaction of which parts have been sent, or a sub-transaction of it, was rolled back. Version 2. */
export interface StreamAbortMessage {
  readonly xid: number;
  /** The same as `xid` where all of it was rolled back. */
  readonly subXid: number;
  /** Where: version 4 with `streaming 'parallel'` alone tells. */
  readonly abort: { readonly lsn: Lsn; readonly timestamp: Date } | null;
}

/** A transaction was prepared (PREPARE TRANSACTION). Version 3. */
export interface PrepareMessage {
  readonly prepareLsn: Lsn;
  readonly endLsn: Lsn;
  readonly prepareTimestamp: Date;
  readonly xid: number;
  /** The name that the user gave it. */
  readonly gid: string;
}

/** COMMIT PREPARED. Version 3. */
export interface CommitPreparedMessage extends CommitMessage {
  readonly commitTimestamp: Date;
  readonly xid: number;
  readonly gid: string;
}

/** ROLLBACK PREPARED. Version 3. */
export interface RollbackPreparedMessage {
  /** End of the record that prepared it. */
  readonly prepareEndLsn: Lsn;
  readonly rollbackEndLsn: Lsn;
  readonly prepareTimestamp: Date;
  readonly rollbackTimestamp: Date;
  readonly xid: number;
  readonly gid: string;
}

/** `d` default (primary key), `n` nothing, `f` full, `i` index: pg_class.relreplident. */
export type ReplicaIdentity = 'default' | 'nothing' | 'full' | 'index';

export interface RelationColumn {
  readonly name: string;
  readonly typeOid: number;
  readonly typeModifier: number;
  /** Part of the replica identity (with FULL: every column). */
  readonly isKey: boolean;
}

/** A table as the server described it at this point of the stream. */
export interface Relation {
  readonly id: number;
  readonly schema: string;
  readonly table: string;
  readonly replicaIdentity: ReplicaIdentity;
  readonly columns: readonly RelationColumn[];
}

export interface TypeMessage {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
}

/** pg_logical_emit_message (manual, section 9.28.6). */
export interface LogicalDecodingMessage {
  readonly transactional: boolean;
  readonly lsn: Lsn;
  readonly prefix: string;
  readonly content: Buffer;
}

/** Which columns an old tuple brings: `key` the replica identity's, `full` all. */
export type OldTupleKind = 'key' | 'full';

export type RowOperation = 'insert' | 'update' | 'delete' | 'truncate';

/** Bits of `Interest.mask`. */
export const OperationBit = { insert: 1, update: 2, delete: 4, truncate: 8 } as const satisfies Record<
  RowOperation,
  number
>;

/** Who wants what of a table; read at every row, so that a row nobody wants is not decoded. */
export interface Interest {
  /** Union of `OperationBit`. */
  mask: number;
}

export type Row = Record<string, unknown>;
