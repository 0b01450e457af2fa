import { DEEPEST_TYPE, FIRST_USER_OID, type MadeType } from '../protocol/made-type.js';
import type { TypeMessage } from './pgoutput-messages.js';

/**
 * What is known of types by oid. Built-in types need no entry: node-postgres' parsers are keyed by oid. Domains do,
 * because a query result names the base type where pgoutput names the domain, and values must be equal to a query's.
 */
export class OidDatabase {
  private readonly names = new Map<number, string>();
  private readonly made: Map<number, MadeType>;

  /**
   * @param domains oid of each domain to the oid of its base type, from pg_type (typbasetype)
   * @param made types that users made of others
   */
  constructor(
    domains: ReadonlyMap<number, number> = new Map(),
    made: ReadonlyMap<number, MadeType> = new Map<number, MadeType>(),
  ) {
    this.made = new Map(made);
    for (const [oid, of] of domains) this.made.set(oid, { kind: 'domain', of });
  }

  /** The oid by which node-postgres would choose the parser: a domain over a domain goes all the way down. */
  baseTypeOid(oid: number): number {
    return this.chainOf(oid).at(-1)!;
  }

  /** The type, and what it is over: of a domain over a domain, all the way down to the base type. */
  chainOf(oid: number): readonly number[] {
    const chain = [oid];
    for (let type = this.made.get(oid); type?.kind === 'domain'; type = this.made.get(type.of)) {
      if (chain.push(type.of) > DEEPEST_TYPE) break;
    }
    return chain;
  }

  madeType(oid: number): MadeType | undefined {
    return this.made.get(oid);
  }

  /** What the catalogue says now. */
  add(made: ReadonlyMap<number, MadeType>): void {
    for (const [oid, type] of made) this.made.set(oid, type);
  }

  /** Those of users that nothing is known of. */
  unknown(oids: Iterable<number>): number[] {
    return [...new Set(oids)].filter((oid) => oid >= FIRST_USER_OID && !this.made.has(oid));
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
