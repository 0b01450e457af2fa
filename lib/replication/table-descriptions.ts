import { OWN_SCHEMA } from '../changes/own-schema.js';
import type { ChangePlace } from '../changes/change.js';
import { shapeOf, TableDescription } from '../changes/schema-change.js';
import type { TransactionInfo } from '../changes/transaction.js';
import type { OidDatabase } from '../decoder/oid-database.js';
import type { CachedRelation } from '../decoder/relation-cache.js';
import type { TransactionSink } from '../interfaces/transaction-sink.interface.js';

/**
 * Tells how a table is described before the first change that comes so, once on a connection. Not when the Relation message
 * comes: in a transaction in progress that may be rolled back, and parts of others come in between.
 */
export class TableDescriptions {
  /** By oid: what was told last. */
  private readonly told = new Map<number, CachedRelation>();
  private last: CachedRelation | undefined;

  constructor(
    private readonly sink: Pick<TransactionSink, 'description'>,
    private readonly oids: OidDatabase,
  ) {}

  isTold(cached: CachedRelation): boolean {
    if (cached === this.last) return true;
    const isTold = this.told.get(cached.relation.id) === cached || cached.relation.schema === OWN_SCHEMA;
    if (isTold) this.last = cached;
    return isTold;
  }

  tell(cached: CachedRelation, transaction: TransactionInfo, place: ChangePlace): void {
    this.last = cached;
    this.told.set(cached.relation.id, cached);
    this.sink.description(new TableDescription(transaction, place, shapeOf(cached.relation, this.oids)));
  }
}
