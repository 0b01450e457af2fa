import type { CustomTypes, TextParser } from '../types/type-parsers.js';
import type { CatalogueAge } from './catalogue-age.js';
import type { OidDatabase } from './oid-database.js';

/** What the server was asked for. In `binary` it still sends text where a type has no other form. */
export type StreamFormat = 'text' | 'binary';

/** By what the values of a stream are read, as long as its connection lasts. */
export interface StreamTypes {
  readonly oids: OidDatabase;
  /** Parsers of the application, as node-postgres takes them. */
  readonly customTypes?: CustomTypes | undefined;
  /** @default 'text' */
  readonly format?: StreamFormat;
  /** Whether what node-postgres leaves as text becomes a structure. @default false */
  readonly rich?: boolean;
  /** By oid: they win over all others. */
  readonly parsers?: ReadonlyMap<number, TextParser>;
  /**
   * Whether it is a partitioned table of which a partition logs old rows by another replica identity than the table's own,
   * which says what has been sent: a null in such a row says nothing. @default never
   */
  readonly isUneven?: (table: { readonly schema: string; readonly table: string }) => boolean;
  /** Of what `oids` had from the catalogue. @default newer than all that is read */
  readonly age?: CatalogueAge;
}
