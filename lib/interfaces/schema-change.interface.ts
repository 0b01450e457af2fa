/** A column as the server describes it. */
export interface ColumnShape {
  readonly name: string;
  /** pg_type.oid. */
  readonly typeOid: number;
  /** `schema.name` of a type that users made; null: a built-in one, of which the server tells the oid only. */
  readonly typeName: string | null;
  /** pg_attribute.atttypmod, such as the length of a varchar; -1: none. */
  readonly typeModifier: number;
  /** Part of the replica identity; with FULL every column is. */
  readonly isKey: boolean;
}

/** A table as the server describes it: the columns that the publication carries, in its order. */
export interface TableShape {
  /** pg_class.oid: the same for as long as the table is the same, whatever its name. */
  readonly oid: number;
  readonly schema: string;
  readonly table: string;
  readonly replicaIdentity: 'default' | 'nothing' | 'full' | 'index';
  readonly columns: readonly ColumnShape[];
}

/** One thing in which two descriptions of a table differ. */
export type SchemaDifference =
  | { readonly kind: 'column-added'; readonly column: ColumnShape }
  | { readonly kind: 'column-removed'; readonly column: ColumnShape }
  /**
   * A column of the same type stands where another one stood. Never certain: the server tells columns by name only, and
   * one that was dropped and one that was added in its place look the same.
   */
  | { readonly kind: 'column-renamed'; readonly from: string; readonly to: string; readonly isCertain: false }
  /** Another type, or another type modifier. */
  | {
      readonly kind: 'column-type-changed';
      readonly column: string;
      readonly from: ColumnShape;
      readonly to: ColumnShape;
    }
  /** Those that are in both descriptions stand in another order. */
  | { readonly kind: 'columns-reordered'; readonly from: readonly string[]; readonly to: readonly string[] }
  /** The columns that tell rows apart. */
  | { readonly kind: 'key-changed'; readonly from: readonly string[]; readonly to: readonly string[] }
  | {
      readonly kind: 'replica-identity-changed';
      readonly from: TableShape['replicaIdentity'];
      readonly to: TableShape['replicaIdentity'];
    }
  /** Another table has this name now. */
  | { readonly kind: 'table-recreated'; readonly from: number; readonly to: number }
  /** The same table had another name, or stood in another schema. */
  | {
      readonly kind: 'table-renamed';
      readonly from: { readonly schema: string; readonly table: string };
      readonly to: { readonly schema: string; readonly table: string };
    };

/** From here on in the stream, a table is described differently: what `@OnSchemaChange` handlers take. */
export interface SchemaChange {
  readonly app: string;
  readonly schema: string;
  readonly table: string;
  /** LSN of the commit of the first change that comes in the new shape, text `X/Y`. */
  readonly lsn: string;
  readonly xid: number;
  readonly commitTimestamp: Date;
  /** As the app knew it last. */
  readonly previous: TableShape;
  readonly current: TableShape;
  /** At least one. */
  readonly differences: readonly SchemaDifference[];
}
