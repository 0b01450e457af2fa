import { OidDatabase } from '#lib/decoder/oid-database.js';
import { PgOutputDecoder, type PgOutputVisitor } from '#lib/decoder/pgoutput.decoder.js';
import { RelationCache, type CachedRelation } from '#lib/decoder/relation-cache.js';
import type { CustomTypes } from '#lib/types/type-parsers.js';
import { embedded } from '../../support/pgoutput-encoder.js';

export const EVERYTHING = 15;

/** What the decoder called, in order: the method's name, then its arguments, relations as `schema.table`. */
export class RecordingVisitor implements PgOutputVisitor {
  readonly calls: unknown[][] = [];
  readonly relations: CachedRelation[] = [];
  mask = EVERYTHING;

  begin(...message: unknown[]): void {
    this.calls.push(['begin', ...message]);
  }
  commit(...message: unknown[]): void {
    this.calls.push(['commit', ...message]);
  }
  origin(name: string): void {
    this.calls.push(['origin', name]);
  }
  relation(relation: CachedRelation): void {
    relation.interest = { mask: this.mask };
    this.relations.push(relation);
    this.calls.push(['relation', nameOf(relation)]);
  }
  insert(relation: CachedRelation, ...rest: unknown[]): void {
    this.calls.push(['insert', nameOf(relation), ...rest]);
  }
  update(relation: CachedRelation, ...rest: unknown[]): void {
    this.calls.push(['update', nameOf(relation), ...rest]);
  }
  delete(relation: CachedRelation, ...rest: unknown[]): void {
    this.calls.push(['delete', nameOf(relation), ...rest]);
  }
  truncate(relations: readonly CachedRelation[], ...flags: boolean[]): void {
    this.calls.push(['truncate', relations.map(nameOf), ...flags]);
  }
  passed(relation: CachedRelation, operation: string): void {
    this.calls.push(['passed', nameOf(relation), operation]);
  }
  message(...message: unknown[]): void {
    this.calls.push(['message', ...message]);
  }
  streamStart(...message: unknown[]): void {
    this.calls.push(['streamStart', ...message]);
  }
  streamStop(): void {
    this.calls.push(['streamStop']);
  }
  streamCommit(...message: unknown[]): void {
    this.calls.push(['streamCommit', ...message]);
  }
  streamAbort(...message: unknown[]): void {
    this.calls.push(['streamAbort', ...message]);
  }
  beginPrepare(...message: unknown[]): void {
    this.calls.push(['beginPrepare', ...message]);
  }
  prepare(...message: unknown[]): void {
    this.calls.push(['prepare', ...message]);
  }
  streamPrepare(...message: unknown[]): void {
    this.calls.push(['streamPrepare', ...message]);
  }
  commitPrepared(...message: unknown[]): void {
    this.calls.push(['commitPrepared', ...message]);
  }
  rollbackPrepared(...message: unknown[]): void {
    this.calls.push(['rollbackPrepared', ...message]);
  }

  get last(): unknown[] | undefined {
    return this.calls.at(-1);
  }
}

function nameOf({ relation }: CachedRelation): string {
  return `${relation.schema}.${relation.table}`;
}

/** A decoder whose messages lie inside of a larger buffer, as they do in life. */
export class DecoderUnderTest {
  readonly visitor = new RecordingVisitor();
  readonly oids: OidDatabase;
  private readonly decoder: PgOutputDecoder;

  constructor(options: { domains?: ReadonlyMap<number, number>; types?: CustomTypes } = {}) {
    this.oids = new OidDatabase(options.domains);
    this.decoder = new PgOutputDecoder(
      new RelationCache({ oids: this.oids, customTypes: options.types }),
      this.oids,
      this.visitor,
      this.visitor,
    );
  }

  /** @param filler the byte that fills the buffer before and behind the message */
  decode(message: Buffer, filler = 0): unknown[] | undefined {
    const { buffer, start, end } = embedded(message, filler);
    this.decoder.decode(buffer, start, end);
    return this.visitor.last;
  }
}
