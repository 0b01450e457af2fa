import { OutdatedTypeError } from '../errors/replication.error.js';
import { DEEPEST_TYPE, type CompositeAttribute, type MadeType } from '../protocol/made-type.js';
import { arrayParser } from '../types/rich/array.js';
import { compositeParser, type AttributePart } from '../types/rich/composite.js';
import { parseHstore } from '../types/rich/hstore.js';
import { UnfitValueError } from '../types/rich/part.js';
import { multirangeParser, rangeParser } from '../types/rich/range.js';
import { columnParser, readsTextArrays, type ColumnParser, type TextParser } from '../types/type-parsers.js';
import { builtInShape, TIMESTAMPTZ, TIMESTAMPTZ_ARRAY } from './binary/built-in-types.js';
import { readsAsNodePostgres } from './binary/own-parsers.js';
import { typeReader } from './binary/type-readers.js';
import type { StreamTypes } from './stream-types.js';

/** How one column's text is read, and what the binary format has to know of it. */
export interface ValueParser extends ColumnParser {
  /** Whether its value is the same, whatever the time zone in which the text has instants. */
  isZoneless(): boolean;
}

/**
 * How the text of a type is read. By default as node-postgres reads a query's, which tells a domain's base type; a parser
 * of the option `types` wins, a domain's own over its base type's; and with `types: 'rich'`, what node-postgres leaves as
 * text, or as an array of texts, becomes a structure where the type has one.
 */
export function valueParser(oid: number, types: StreamTypes): ValueParser {
  if (types.rich !== true && (types.parsers === undefined || types.parsers.size === 0)) {
    const base = types.oids.baseTypeOid(oid);
    return plain(base, columnParser(base, types.customTypes), types);
  }
  return new ValueParsers(types).of(oid, 0);
}

class ValueParsers {
  constructor(private readonly types: StreamTypes) {}

  of(oid: number, depth: number): ValueParser {
    const { oids, customTypes, rich } = this.types;
    const base = oids.baseTypeOid(oid);
    const own = plain(base, columnParser(base, customTypes), this.types);
    const override = this.override(oid);
    if (override !== undefined) return plain(base, { parse: override, identity: false, ascii: own.ascii }, this.types);
    if (rich !== true || depth > DEEPEST_TYPE) return own;
    return this.structured(base, own, depth + 1) ?? own;
  }

  /** Of the option `types`: a domain's, or of what it is over. */
  private override(oid: number): TextParser | undefined {
    const { oids, parsers } = this.types;
    if (parsers === undefined) return undefined;
    const overridden = oids.chainOf(oid).find((each) => parsers.has(each));
    return overridden === undefined ? undefined : parsers.get(overridden);
  }

  private shapeOf(oid: number): MadeType | undefined {
    return this.types.oids.madeType(oid) ?? builtInShape(oid);
  }

  /** @returns undefined where the type has no structure, or the application reads it itself */
  private structured(oid: number, own: ValueParser, depth: number): ValueParser | undefined {
    const shape = this.shapeOf(oid);
    if (shape === undefined) return undefined;
    if (shape.kind === 'array') return this.array(shape.of, shape.delimiter ?? ',', own, depth);
    if (!own.identity && !this.isOverriddenWithin(shape, depth)) return undefined;
    switch (shape.kind) {
      case 'range':
        return made([this.of(shape.of, depth)], ([bound]) => rangeParser(bound!));
      case 'multirange': {
        const range = this.shapeOf(shape.of);
        if (range?.kind !== 'range') return undefined;
        return made([this.of(range.of, depth)], ([bound]) => multirangeParser(bound!));
      }
      case 'composite':
        return this.composite(oid, shape.attributes, depth);
      case 'base':
        return shape.name === 'hstore' ? made([], () => parseHstore) : undefined;
      default:
        return undefined;
    }
  }

  /** node-postgres reads some arrays of what has a structure, such as numrange[], to arrays of texts. */
  private array(of: number, delimiter: string, own: ValueParser, depth: number): ValueParser | undefined {
    const element = this.of(of, depth);
    const isLeftAsText = own.identity || (!element.identity && this.hasStructure(of) && readsTextArrays(own.parse));
    if (!isLeftAsText && this.override(of) === undefined && !this.isWithin(of, depth)) return undefined;
    return made([element], () => arrayParser(element, delimiter));
  }

  private hasStructure(oid: number): boolean {
    const kind = this.shapeOf(this.types.oids.baseTypeOid(oid))?.kind;
    return kind === 'composite' || kind === 'range' || kind === 'multirange' || kind === 'array' || kind === 'base';
  }

  private composite(oid: number, list: readonly (CompositeAttribute | null)[], depth: number): ValueParser {
    const attributes = list.filter((each) => each !== null);
    const parts = attributes.map((each) => this.of(each.oid, depth));
    const named: AttributePart[] = attributes.map(({ name }, index) => Object.assign({ name }, parts[index]!));
    const { age } = this.types;
    return made(parts, () =>
      compositeParser(named, (fields) => {
        if (age?.isNewer === false) throw new OutdatedTypeError(outdatedText(oid, this.types));
        return fitted(fields, list) ?? unfit(oid, fields.length, list, this.types);
      }),
    );
  }

  private isOverriddenWithin(shape: MadeType, depth: number): boolean {
    if (depth > DEEPEST_TYPE) return false;
    switch (shape.kind) {
      case 'range':
      case 'multirange':
      case 'array':
        return this.isWithin(shape.of, depth);
      case 'composite':
        return shape.attributes.some((each) => each !== null && this.isWithin(each.oid, depth));
      default:
        return false;
    }
  }

  /** A parser of the option `types` is for the type, or for something in it. */
  private isWithin(oid: number, depth: number): boolean {
    if (this.override(oid) !== undefined) return true;
    const shape = this.shapeOf(this.types.oids.baseTypeOid(oid));
    return shape !== undefined && this.isOverriddenWithin(shape, depth + 1);
  }
}

function made(parts: readonly ValueParser[], parserOf: (parts: readonly ValueParser[]) => TextParser): ValueParser {
  return {
    parse: parserOf(parts),
    identity: false,
    ascii: false,
    isZoneless: () => parts.every((part) => part.isZoneless()),
  };
}

function plain(base: number, parser: ColumnParser, { oids }: StreamTypes): ValueParser {
  const isZoneless = (): boolean => {
    if (base === TIMESTAMPTZ) return readsAsNodePostgres('date', parser.parse);
    if (base === TIMESTAMPTZ_ARRAY) return readsAsNodePostgres('dateArray', parser.parse);
    return typeReader(base, oids)?.isSessionBound !== true;
  };
  return { ...parser, isZoneless };
}

/**
 * A row may be older than what the catalogue says: attributes that were added since are null, as in a query of now, and those
 * that were dropped since are left out.
 *
 * @returns undefined where nobody can know which attributes it has
 */
function fitted(
  fields: readonly (string | null)[],
  list: readonly (CompositeAttribute | null)[],
): readonly (string | null)[] | undefined {
  if (fields.length === list.length) return fields.filter((_, index) => list[index] !== null);
  if (!list.includes(null) && fields.length < list.length) {
    return [...fields, ...list.slice(fields.length).map(() => null)];
  }
  return undefined;
}

function unfit(oid: number, count: number, list: readonly (CompositeAttribute | null)[], types: StreamTypes): never {
  const living = list.filter((each) => each !== null).length;
  throw new UnfitValueError(
    `${count} attributes in a value of the composite type ${nameOf(oid, types)}, which has ${living} by now, and ` +
      `${list.length - living} dropped ones: nobody can know which of them the value has`,
    `give the type a parser of your own, which takes the text as it is: \`types: { rich: true, parsers: { '${nameInOptions(oid, types)}': ` +
      `(text) => ... } }\`, until what was written before the type was altered is handled. The type is told by: SELECT ` +
      `${oid}::regtype;`,
  );
}

/** The server tells the name of what a column is; not of what is within that. */
function nameOf(oid: number, { oids }: StreamTypes): string {
  return oids.nameOf(oid) ?? `oid ${oid}`;
}

function nameInOptions(oid: number, { oids }: StreamTypes): string {
  return oids.nameOf(oid) ?? String(oid);
}

function outdatedText(oid: number, types: StreamTypes): string {
  return `The composite type ${nameOf(oid, types)} was altered: its attributes are read from the catalogue again`;
}
