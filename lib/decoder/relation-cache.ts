import type { CustomTypes } from '../types/type-parsers.js';
import type { OidDatabase } from './oid-database.js';
import type { Interest, Relation } from './pgoutput-messages.js';
import { RowReader, type StreamFormat } from './row-reader.js';

export type { CustomTypes, StreamFormat };

/** A relation with what is needed to read its rows. The row reader is made when the first row is read. */
export class CachedRelation {
  interest: Interest = { mask: 0 };
  private reader: RowReader | undefined;

  constructor(
    readonly relation: Relation,
    private readonly oids: OidDatabase,
    private readonly customTypes: CustomTypes | undefined,
    private readonly format?: StreamFormat,
  ) {}

  /** @throws BinaryFormatError where the format is binary, and cannot give what the text format gives */
  get rows(): RowReader {
    return (this.reader ??= new RowReader(this.relation, this.oids, this.customTypes, this.format));
  }
}

/**
 * What the server has said of its tables. It says so once in a connection, so a cache must live exactly as long as
 * its connection does.
 */
export class RelationCache {
  private readonly relations = new Map<number, CachedRelation>();

  constructor(
    private readonly oids: OidDatabase,
    private readonly customTypes?: CustomTypes,
    private readonly format?: StreamFormat,
  ) {}

  /** A later Relation message of one id replaces the earlier one: the table was altered. */
  add(relation: Relation): CachedRelation {
    const cached = new CachedRelation(relation, this.oids, this.customTypes, this.format);
    this.relations.set(relation.id, cached);
    return cached;
  }

  get(id: number): CachedRelation | undefined {
    return this.relations.get(id);
  }
}
