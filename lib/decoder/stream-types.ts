import type { CustomTypes } from '../types/type-parsers.js';
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
}
