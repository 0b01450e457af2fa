import type pg from 'pg';
import { BINARY } from './binary.js';
import { arrayOf, multirangeOf, RANGES } from './containers.js';
import { DOCUMENTS } from './documents.js';
import { GEOMETRY } from './geometry.js';
import { IDENTIFIERS } from './identifiers.js';
import { NETWORK } from './network.js';
import { NUMBERS } from './numbers.js';
import { TEXTS } from './texts.js';
import { times } from './times.js';
import type { Values } from './values.js';

/** A built-in base, range, multirange or array type, as the server's own catalogue has it. */
export interface CatalogueType {
  readonly name: string;
  /** Of an array: the type of its elements. */
  readonly element: string | null;
  /** The element is the row type of a table of the catalogue. */
  readonly isRowArray: boolean;
  readonly delimiter: string;
  /** Of a multirange: its range type. */
  readonly range: string | null;
}

/** Types without values of their own, and why: no column can have them, or their input functions refuse everything. */
export const WITHOUT_VALUES: Readonly<Record<string, string>> = {
  _cstring: 'an array of a pseudo-type',
  pg_node_tree: 'holds expressions of the catalogue',
  gtsvector: 'lives in GiST indexes only',
  pg_ndistinct: 'made by ANALYZE for extended statistics',
  pg_dependencies: 'made by ANALYZE for extended statistics',
  pg_mcv_list: 'made by ANALYZE for extended statistics',
  pg_brin_bloom_summary: 'lives in BRIN indexes only',
  pg_brin_minmax_multi_summary: 'lives in BRIN indexes only',
};

/**
 * Types whose values are not to be had in the binary format as text gives them: the app goes on in text. By name, without
 * the arrays of them.
 */
export function fallsBack({ name }: { readonly name: string }): boolean {
  const isArray = name.startsWith('_');
  const element = isArray ? name.slice(1) : name;
  // Without a send function: the server itself falls back to text, but not for the elements of an array.
  if (['aclitem', 'gtsvector'].includes(element)) return isArray;
  return element.startsWith('reg') || ['money', 'char', 'tstzrange', 'tstzmultirange'].includes(element);
}

/** Major version of a server, such as 17. */
export async function majorVersion(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ version: string }>(`SELECT current_setting('server_version_num') AS version`);
  return Math.floor(Number(rows[0]!.version) / 10_000);
}

export async function readCatalogue(client: pg.Client): Promise<CatalogueType[]> {
  const { rows } = await client.query<CatalogueType>(
    `SELECT t.typname AS name, e.typname AS element, t.typdelim AS delimiter,
            coalesce(e.typrelid, 0) <> 0 AS "isRowArray",
            (SELECT r.rngtypid::regtype::text FROM pg_range r WHERE r.rngmultitypid = t.oid) AS range
       FROM pg_type t LEFT JOIN pg_type e ON e.typarray = t.oid
      WHERE t.typnamespace = 'pg_catalog'::regnamespace AND t.typtype IN ('b', 'r', 'm') AND t.typisdefined
      ORDER BY t.oid`,
  );
  return rows;
}

/** Values of the types of one server. */
export class ValueCatalogue {
  private readonly scalars: Readonly<Record<string, Values>>;

  constructor(
    readonly types: readonly CatalogueType[],
    version: number,
  ) {
    this.scalars = {
      ...NUMBERS,
      ...times(version),
      ...TEXTS,
      ...BINARY,
      ...NETWORK,
      ...GEOMETRY,
      ...DOCUMENTS,
      ...IDENTIFIERS,
      ...RANGES,
    };
  }

  static async of(client: pg.Client): Promise<ValueCatalogue> {
    return new ValueCatalogue(await readCatalogue(client), await majorVersion(client));
  }

  /** Values of a scalar type by its name. */
  scalar(name: string): Values {
    const found = this.scalars[name];
    if (found === undefined) throw new Error(`There are no values for the type ${name}`);
    return found;
  }

  /** undefined: nobody has written any. */
  valuesOf(type: CatalogueType): Values | undefined {
    if (type.element !== null) {
      const elements = this.types.find(({ name }) => name === type.element);
      const values = elements && this.valuesOf(elements);
      const canBeEmpty = values !== undefined || type.element in WITHOUT_VALUES;
      return canBeEmpty ? arrayOf(values, type.delimiter) : undefined;
    }
    if (type.range !== null) return this.scalars[type.range] && multirangeOf(this.scalars[type.range]!);
    return this.scalars[type.name];
  }

  /** Types that a column can have and a value can be made of, with their values. */
  get columns(): { name: string; type: string; values: Values }[] {
    return this.types.flatMap((type) => {
      const values = this.valuesOf(type);
      // Quoted: `bit` would be bit(1), and "char" is not char.
      return values === undefined ? [] : [{ name: type.name, type: `pg_catalog."${type.name}"`, values }];
    });
  }
}
