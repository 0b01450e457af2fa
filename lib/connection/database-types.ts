import type { Client } from 'pg';
import { tableKey } from '../changes/transaction.js';
import { CatalogueAge } from '../decoder/catalogue-age.js';
import { OidDatabase } from '../decoder/oid-database.js';
import type { StreamTypes } from '../decoder/stream-types.js';
import type { ListenerLogger } from '../interfaces/listener-logger.interface.js';
import type { Lsn } from '../protocol/lsn.js';
import type { CustomTypes, TextParser } from '../types/type-parsers.js';
import { readUnevenTables } from './uneven-tables.js';
import { readMadeTypes, readTypeNames, readTypes, readWalEnd } from './type-catalogue.js';

/** How an app wants values. */
export interface ValueOptions {
  /** Parsers of the connection (`connection.types`). */
  readonly customTypes: CustomTypes | undefined;
  readonly rich: boolean;
  /** By a type's oid or name. */
  readonly parsers: Readonly<Record<string, TextParser>>;
}

/** Of one connection: what is known of types grows as it goes on. */
export interface LearningTypes extends StreamTypes {
  readonly parsers: Map<number, TextParser>;
}

const IS_OID = /^\d+$/;

/**
 * By what one app reads values, across its connections. What the catalogue says is read at the beginning of each, for what
 * was right on the last one may be so no more; what a connection meets later is asked for then.
 */
export class DatabaseTypes {
  private readonly names: readonly string[];
  /** Names that no type has: told once. */
  private readonly told = new Set<string>();

  constructor(
    private readonly options: ValueOptions,
    private readonly logger: ListenerLogger,
  ) {
    this.names = Object.keys(options.parsers).filter((name) => !IS_OID.test(name));
  }

  /** At the beginning of a stream. @param commitLsn where the transaction that the stream brings was committed */
  async readForStream(client: Client, commitLsn: () => Lsn): Promise<LearningTypes> {
    // Before the types: what was committed up to here is not newer than they are.
    const end = await readWalEnd(client);
    return { ...(await this.read(client, true)), age: new CatalogueAge(end, commitLsn) };
  }

  /** For values that there are already, with columns of these types. */
  async readFor(client: Client, oids: Iterable<number>): Promise<LearningTypes> {
    const types = await this.read(client, false);
    await this.learn(client, types, oids, null);
    return types;
  }

  private async read(client: Client, isTold: boolean): Promise<LearningTypes> {
    const { customTypes, rich, parsers } = this.options;
    const uneven = await readUnevenTables(client);
    const byOid = Object.entries(parsers).filter(([name]) => IS_OID.test(name));
    const types: LearningTypes = {
      oids: new OidDatabase(undefined, await readMadeTypes(client)),
      customTypes,
      rich,
      isUneven: (table) => uneven.has(tableKey(table)),
      parsers: new Map(byOid.map(([oid, parse]) => [Number(oid), parse])),
    };
    await this.resolveNames(client, types, isTold);
    return types;
  }

  /**
   * What is not known of these yet.
   *
   * @param xid of the transaction that names them; null: it was committed long ago
   * @returns whether what is still unknown is gone, and not only to be seen later
   */
  async learn(client: Client, types: LearningTypes, oids: Iterable<number>, xid: number | null): Promise<boolean> {
    const unknown = types.oids.unknown(oids);
    if (unknown.length === 0) return true;
    const { types: found, isSeen } = await readTypes(client, unknown, xid);
    if (found.size > 0) {
      types.oids.add(found);
      await this.resolveNames(client, types, false);
    }
    return isSeen;
  }

  private async resolveNames(client: Client, { parsers }: LearningTypes, isTold: boolean): Promise<void> {
    if (this.names.length === 0) return;
    const found = await readTypeNames(client, this.names);
    for (const name of this.names) {
      const oid = found.get(name);
      if (oid !== undefined) parsers.set(oid, this.options.parsers[name]!);
      else if (isTold && !this.told.has(name)) {
        this.told.add(name);
        this.logger.warn(
          `\`types.parsers\` names a type that the database does not have: ${name}\n` +
            "  How to mend it: write a type's name as in SQL, with its schema where that is not public; or make the type.",
        );
      }
    }
  }
}
