import type { MappedOptions } from '../interfaces/orm-table.interface.js';
import type { RowMapping } from './row-mapping.js';

/** A table as an ORM's metadata names it. */
export interface ResolvedTable {
  /** Canonical, as `canonicalTable` writes it. */
  readonly name: string;
  /** Of several classes that share the table, which rows are meant; null: all. */
  readonly only: RowsOfClass | null;
  /** What a person should know of how it was found; null: nothing. */
  readonly note: string | null;
  mapping(options: MappedOptions): RowMapping;
}

export interface RowsOfClass {
  readonly column: string;
  readonly values: ReadonlySet<string>;
}

/** Why a class or an object names no table: the rest of a sentence that begins with what it is. */
export class UnresolvedTable extends Error {}
