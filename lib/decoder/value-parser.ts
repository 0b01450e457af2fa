import { OutdatedTypeError } from '../errors/replication.error.js';
import type { CompositeAttribute, MadeType } from '../protocol/made-type.js';
import { arrayParser } from '../types/rich/array.js';
import { compositeParser, type AttributePart } from '../types/rich/composite.js';
import { parseHstore } from '../types/rich/hstore.js';
import { malformed } from '../types/rich/part.js';
import { multirangeParser, rangeParser } from '../types/rich/range.js';
import { columnParser, readsTextArrays, type ColumnParser, type TextParser } from '../types/type-parsers.js';
import { builtInShape, TIMESTAMPTZ, TIMESTAMPTZ_ARRAY } from './binary/built-in-types.js';
import { readsAsNodePostgres } from './binary/own-parsers.js';
import { typeReader } from './binary/type-readers.js';
import type { StreamTypes } from './stream-types.js';

/** Types of users refer to each other; never this deep. */
const DEEPEST = 32;

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
    if (rich !== true || depth > DEEPEST) return own;
    return this.structured(base, own, depth + 1) ?? own;
  }

  /** Of the option `types`: a domain's, or of what it is over. */
  private override(oid: number): TextParser | undefined {
    const { oids, parsers } = this.types;
    if (parsers === undefined) return undefined;
    let at = oid;
    for (let depth = 0; depth < DEEPEST; depth++) {
      const found = parsers.get(at);
      const type = oids.madeType(at);
      if (found !== undefined || type?.kind !== 'domain') return found;
      at = type.of;
    }
    return undefined;
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
    const named: AttributePart[] = attributes.map(({ name }, index) => ({ ...parts[index]!, name }));
    const { isOlder } = this.types;
    return made(parts, () =>
      compositeParser(named, (fields) => {
        if (isOlder?.() === false) throw new OutdatedTypeError(outdatedText(oid, this.types));
        return fitted(fields, list, attributes.length);
      }),
    );
  }

  private isOverriddenWithin(shape: MadeType, depth: number): boolean {
    if (depth > DEEPEST) return false;
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
 */
function fitted(
  fields: readonly (string | null)[],
  list: readonly (CompositeAttribute | null)[],
  living: number,
): readonly (string | null)[] {
  if (fields.length === list.length) return fields.filter((_, index) => list[index] !== null);
  if (living === list.length && fields.length < living) {
    return [...fields, ...list.slice(fields.length).map(() => null)];
  }
  return malformed(
    `${fields.length} attributes of a composite type that has ${living} by now, and ${list.length - living} dropped ones`,
  );
}

function outdatedText(oid: number, { oids }: StreamTypes): string {
  const name = oids.nameOf(oid) ?? `oid ${oid}`;
  return `The composite type ${name} was altered: its attributes are read from the catalogue again`;
}
