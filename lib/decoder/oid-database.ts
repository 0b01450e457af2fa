import type { MadeType } from '../protocol/made-type.js';
import type { TypeMessage } from './pgoutput-messages.js';

/**
 * What is known of types by oid. Built-in types need no entry: node-postgres' parsers are keyed by oid. Domains do,
 * because a query result names the base type where pgoutput names the domain, and values must be equal to a query's.
 */
export class OidDatabase {
  private readonly names = new Map<number, string>();

  /**
   * @param domains oid of each domain to the oid of its base type, from pg_type (typbasetype)
   * @param made types that users made of others, which the binary format needs
   */
  constructor(
    private readonly domains: ReadonlyMap<number, number> = new Map(),
    private readonly made: ReadonlyMap<number, MadeType> = new Map(),
  ) {}

  /** The oid by which node-postgres would choose the parser: a domain over a domain goes all the way down. */
  baseTypeOid(oid: number): number {
    let base = oid;
    for (let depth = 0; depth < 32; depth++) {
      const next = this.domains.get(base);
      if (next === undefined) return base;
      base = next;
    }
    return base;
  }

  madeType(oid: number): MadeType | undefined {
    return this.made.get(oid);
  }

  /** From a Type message: the server sends one before the first Relation that uses a user-defined type. */
  learn(type: TypeMessage): void {
    this.names.set(type.oid, `${type.schema}.${type.name}`);
  }

  /** `schema.name` of a user-defined type, where the server has told it. */
  nameOf(oid: number): string | undefined {
    return this.names.get(oid);
  }
}
