/** An attribute of a composite type, or a column of a table's row type. */
export interface CompositeAttribute {
  readonly name: string;
  /** Of its type. */
  readonly oid: number;
}

/** A type that a user made, with the types that it is made of, by their oids (manual, section 53.64 "pg_type"). */
export type MadeType =
  | { readonly kind: 'enum' }
  | {
      readonly kind: 'base';
      /** Without its schema. */
      readonly name: string;
      /** What its send function is in the server or its library, such as `textsend`; null: nothing to go by. */
      readonly send: string | null;
    }
  | { readonly kind: 'domain' | 'range' | 'multirange'; readonly of: number }
  | {
      readonly kind: 'array';
      readonly of: number;
      /** What stands between elements in the text form. @default ',' */
      readonly delimiter?: string;
    }
  | {
      readonly kind: 'composite';
      /** In their order; null: it was dropped. */
      readonly attributes: readonly (CompositeAttribute | null)[];
    };

/** Types below are the server's own, or of its information schema; those that users make have this oid or a higher one. */
export const FIRST_USER_OID = 16_384;

/** Types of users refer to each other; never this deep. */
export const DEEPEST_TYPE = 32;
