/** What happened to a row or a table. `snapshot`: the row existed before the stream began. */
export type Operation = 'insert' | 'update' | 'delete' | 'truncate' | 'snapshot';

/** What every change has. Changes are instances: copy them with `toJSON()`, not with spread. */
export interface ChangeBase<O extends Operation> {
  /** The app (named listener) that received it. */
  readonly app: string;
  readonly operation: O;
  readonly schema: string;
  readonly table: string;
  /** Identity of the change: `<lsn>/<index>`. The same when it is delivered again. */
  readonly id: string;
  /** LSN of the commit, text `X/Y`. */
  readonly lsn: string;
  /** Place of the change in its transaction, from 0, counting every change that the publications carry. */
  readonly index: number;
  readonly xid: number;
  readonly commitTimestamp: Date;
  /** A plain copy, fit for JSON: dates as ISO text by JSON itself, bigint as text. */
  toJSON(): Record<string, unknown>;
}

export interface InsertChange<Row = Record<string, unknown>> extends ChangeBase<'insert'> {
  readonly record: Readonly<Row>;
}

export interface SnapshotChange<Row = Record<string, unknown>> extends ChangeBase<'snapshot'> {
  readonly record: Readonly<Row>;
}

declare const TOAST: unique symbol;
/**
 * Marks, in a row type, a column whose value may be large enough for TOAST (manual, section 66.2): text, bytea, jsonb,
 * arrays of more than about 2 kB. To read and to write it is a `T`; in an update's `record` it may be absent, which is
 * not null.
 *
 * @example
 * interface Article { id: number; body: Toastable<string | null> }
 */
export type Toastable<T> = T extends null | undefined ? T : T & { readonly [TOAST]?: true };
type IsAny<T> = 0 extends 1 & T ? true : false;
type ToastKeys<Row> =
  IsAny<Row> extends true
    ? never
    : {
        [K in keyof Row]-?: IsAny<Row[K]> extends true
          ? never
          : typeof TOAST extends keyof NonNullable<Row[K]>
            ? K
            : never;
      }[keyof Row];
/** The row of an update: what is `Toastable` may be missing. */
export type UpdatedRecord<Row> = [ToastKeys<Row>] extends [never]
  ? Readonly<Row>
  : Readonly<Omit<Row, ToastKeys<Row>> & Partial<Pick<Row, ToastKeys<Row>>>>;

export interface UpdateChange<Row = Record<string, unknown>> extends ChangeBase<'update'> {
  /** The row as it is now, without the columns named in `unchangedToast`: those of type `Toastable` are optional here. */
  readonly record: UpdatedRecord<Row>;
  /**
   * The row as it was: all columns under REPLICA IDENTITY FULL; else the key's columns where the key changed (or a value of
   * it lies in TOAST), and null where it did not.
   */
  readonly oldRecord: Readonly<Partial<Row>> | null;
  /** Under REPLICA IDENTITY FULL the columns whose value changed; null where the server does not tell. */
  readonly changedColumns: readonly (keyof Row & string)[] | null;
  /** Large columns that the update did not touch and the server did not send: absent from `record`, not null. */
  readonly unchangedToast: readonly (keyof Row & string)[];
  /**
   * With `toast: 'reread'`, columns that the server did not send, and that `record` has as they were when the table was
   * asked: the value may be newer than the change, or, of a table without it, older. Empty without the option.
   */
  readonly rereadToast: readonly (keyof Row & string)[];
  /** Whether `record` has the column: false of what is named in `unchangedToast`. Narrows the type of `record`. */
  hasColumn<K extends keyof Row & string>(column: K): this is { readonly record: { readonly [P in K]: Row[P] } };
}

export interface DeleteChange<Row = Record<string, unknown>> extends ChangeBase<'delete'> {
  /** The row as it was: all columns under REPLICA IDENTITY FULL, else the key's. */
  readonly oldRecord: Readonly<Partial<Row>> | null;
}

/** One for each truncated table. */
export interface TruncateChange extends ChangeBase<'truncate'> {
  readonly cascade: boolean;
  readonly restartIdentity: boolean;
}

export interface ChangeByOperation<Row> {
  insert: InsertChange<Row>;
  update: UpdateChange<Row>;
  delete: DeleteChange<Row>;
  truncate: TruncateChange;
  snapshot: SnapshotChange<Row>;
}

/** Distributes over a union of rows. */
export type ChangeOf<Row, O extends Operation> = Row extends unknown ? ChangeByOperation<Row>[O] : never;

/** Any change of a table; tell the kinds apart by `operation`. */
export type Change<Row = Record<string, unknown>> = ChangeOf<Row, Operation>;
