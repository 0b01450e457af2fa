import type { Lsn } from '../protocol/lsn.js';

/**
 * Messages of the pgoutput plugin, protocol version 1 (manual, section 54.9 "Logical Replication Message Formats").
 * Names are the manual's.
 */
export const PgOutputMessage = {
  Begin: 0x42, // B
  Message: 0x4d, // M
  StreamAbort: 0x41, // A
  Commit: 0x43, // C
  Origin: 0x4f, // O
  Relation: 0x52, // R
  Type: 0x59, // Y
  Insert: 0x49, // I
  Update: 0x55, // U
  Delete: 0x44, // D
  Truncate: 0x54, // T
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
