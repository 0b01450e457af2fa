import type { CatalogueAge } from './catalogue-age.js';
import type { Interest, Relation } from './pgoutput-messages.js';
import { RowReader } from './row-reader.js';
import type { StreamTypes } from './stream-types.js';

/** A relation with what is needed to read its rows. The row reader is made when the first row is read. */
export class CachedRelation {
  interest: Interest = { mask: 0 };
  /** What is said to be a whole old row may lack columns, which look like null. */
  isUneven: boolean;
  private reader: RowReader | undefined;

  constructor(
    readonly relation: Relation,
    private readonly types: StreamTypes,
  ) {
    this.isUneven = types.isUneven?.(relation) ?? false;
  }

  /** Of what its rows are read by. */
  get age(): CatalogueAge | undefined {
    return this.types.age;
  }

  /** @throws BinaryFormatError where the format is binary, and cannot give what the text format gives */
  get rows(): RowReader {
    return (this.reader ??= new RowReader(this.relation, this.types));
  }
}

/**
 * What the server has said of its tables: the last word on each, in the order in which it came. It says so once in a
 * connection, so that the cache of a connection ends with it. A replay has one of its own, of what was said in its
 * transaction, and before where that was prepared; its descriptions are those of the connection's cache.
 */
export class RelationCache {
  private readonly relations: Map<number, CachedRelation>;

  /** @param known what it begins with: what another cache has now */
  constructor(
    private readonly types: StreamTypes,
    known?: RelationCache,
  ) {
    this.relations = new Map(known?.relations);
  }

  /** A later Relation message of one id replaces the earlier one: the table was altered. */
  add(relation: Relation): CachedRelation {
    const cached = new CachedRelation(relation, this.types);
    // What rows have shown is not in a description, and the server repeats one whenever something of the table has changed.
    cached.isUneven ||= this.relations.get(relation.id)?.isUneven ?? false;
    this.put(cached);
    return cached;
  }

  get(id: number): CachedRelation | undefined {
    return this.relations.get(id);
  }

  /** Takes over what another cache has made of a Relation message. */
  put(cached: CachedRelation): void {
    const { id } = cached.relation;
    this.relations.delete(id);
    this.relations.set(id, cached);
  }

  /** The one that was described last comes last. */
  values(): IterableIterator<CachedRelation> {
    return this.relations.values();
  }
}
