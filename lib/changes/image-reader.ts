import { PgOutputDecoder, type ChangeVisitor } from '../decoder/pgoutput.decoder.js';
import { OperationBit, type Interest, type OldTupleKind, type Row } from '../decoder/pgoutput-messages.js';
import { rowKeyOf } from '../decoder/row-key.js';
import { OidDatabase } from '../decoder/oid-database.js';
import { RelationCache, type CachedRelation } from '../decoder/relation-cache.js';
import { DecodeError } from '../errors/decode.error.js';
import { Delete, Insert, Truncate, Update, type ChangePlace, type RowChange } from './change.js';
import type { TransactionInfo } from './transaction.js';
import type { WireImage } from './wire-image.js';

/** Who wants what may have changed since the copy was taken: what is read here is wanted. */
const EVERYTHING: Interest = {
  mask: OperationBit.insert | OperationBit.update | OperationBit.delete | OperationBit.truncate,
};

/**
 * The change of an image, by the decoder that reads the stream: the values are those that the parsers of this process
 * give. Images of one `CachedRelation` share its row reader.
 *
 * @throws DecodeError where the bytes are no Insert, Update, Delete or Truncate of this relation, or a parser threw
 */
export function readImage(image: WireImage, transaction: TransactionInfo, place: ChangePlace): RowChange {
  return IMAGES.read(image, transaction, place);
}

/** A cache that knows the relation of one image. */
class OneRelation extends RelationCache {
  cached: CachedRelation | undefined;

  override get(id: number): CachedRelation | undefined {
    return this.cached?.relation.id === id ? this.cached : undefined;
  }
}

/** Nothing in here waits, so that one is enough for all. */
class ImageReader implements ChangeVisitor {
  private readonly oids = new OidDatabase();
  private readonly relations = new OneRelation({ oids: this.oids });
  private readonly decoder = new PgOutputDecoder(this.relations, this.oids, this, null);
  private transaction!: TransactionInfo;
  private place!: ChangePlace;
  private change: RowChange | undefined;
  private bytes!: Buffer;

  read({ cached, message }: WireImage, transaction: TransactionInfo, place: ChangePlace): RowChange {
    const { interest, age } = cached;
    this.relations.cached = cached;
    this.transaction = transaction;
    this.place = place;
    this.change = undefined;
    this.bytes = message;
    cached.interest = EVERYTHING;
    age?.beginKept(transaction.commitLsn);
    try {
      this.decoder.decode(message, 0, message.length);
      return this.change ?? this.noChange();
    } finally {
      age?.endKept();
      cached.interest = interest;
      this.relations.cached = undefined;
      this.change = undefined;
    }
  }

  insert({ relation }: CachedRelation, record: Row): void {
    this.change = new Insert(this.transaction, relation, this.place, record);
  }

  update(
    cached: CachedRelation,
    record: Row,
    oldRecord: Row | null,
    _oldKind: OldTupleKind | null,
    changed: readonly string[] | null,
    toast: readonly string[],
  ): void {
    const { relation } = cached;
    const key = toast.length === 0 ? null : rowKeyOf(cached, this.bytes, 0);
    this.change = new Update(this.transaction, relation, this.place, record, oldRecord, changed, toast, key);
  }

  delete({ relation }: CachedRelation, oldRecord: Row): void {
    this.change = new Delete(this.transaction, relation, this.place, oldRecord);
  }

  truncate([cached]: readonly CachedRelation[], cascade: boolean, restartIdentity: boolean): void {
    if (cached === undefined) return;
    this.change = new Truncate(this.transaction, cached.relation, this.place, cascade, restartIdentity);
  }

  origin(): void {}
  relation(): void {}
  passed(): void {}
  message(): void {}

  private noChange(): never {
    throw new DecodeError('it is no change of a row or table', { messageType: 'kept', offset: 0 });
  }
}

const IMAGES = new ImageReader();
