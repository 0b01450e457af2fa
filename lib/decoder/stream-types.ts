import type { CustomTypes, TextParser } from '../types/type-parsers.js';
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
   * Whether what is known of a composite type is newer than any value with so many attributes that may come: if not, it has
   * to be read again first. @default always
   */
  readonly isJudged?: (oid: number, attributes: number) => boolean;
}
