import { DEEPEST_TYPE, type MadeType } from '../../protocol/made-type.js';
import type { OidDatabase } from '../oid-database.js';
import {
  ALWAYS_TEXT,
  BOX,
  BUILT_IN,
  BUILT_IN_RANGES,
  INT2_VECTOR,
  OID_VECTOR,
  type BuiltInType,
} from './built-in-types.js';
import { arrayText, multirangeText, rangeText, vectorText } from './containers.js';
import { recordText } from './record.js';
import { EXTENSION_TEXTS } from './extensions.js';
import { readUtf8, type ReadText } from './value-reader.js';

/** How a type's text is made from its binary form. */
export interface TypeReader {
  readonly name: string;
  /** Null: only a session can write it. */
  readonly text: ReadText | null;
  /** Its text depends on settings that no reader knows. What `text` gives then is as a session in UTC has it. */
  readonly isSessionBound: boolean;
}

const COMMA = ',';

/** The type of this oid, a domain being its base type. @returns undefined where its binary form is not known */
export function typeReader(oid: number, oids: OidDatabase, depth = 0): TypeReader | undefined {
  const base = oids.baseTypeOid(oid);
  const found = BUILT_IN_READERS.get(base);
  if (found !== undefined || depth > DEEPEST_TYPE) return found;
  const made = oids.madeType(base);
  const name = oids.nameOf(base) ?? `oid ${base}`;
  switch (made?.kind) {
    case 'enum':
      return { name, text: readUtf8, isSessionBound: false };
    case 'base': {
      const text = made.send === null ? undefined : EXTENSION_TEXTS[made.send];
      return text && { name, text, isSessionBound: false };
    }
    case 'composite':
      return rowReader(name, made, oids, depth + 1);
    case 'array':
    case 'range':
    case 'multirange': {
      const inner = typeReader(made.of, oids, depth + 1);
      return inner && derived(name, inner, (text) => containerText(made, text));
    }
    default:
      return undefined;
  }
}

function containerText(made: MadeType & { readonly of: number }, text: ReadText): ReadText {
  if (made.kind === 'range') return rangeText(text);
  if (made.kind === 'multirange') return multirangeText(text);
  const delimiter = (made.kind === 'array' ? made.delimiter : undefined) ?? COMMA;
  return arrayText({ oid: made.of, text, delimiter });
}

/** Each field names its type, so that one that was altered is read too, as long as its types are known. */
function rowReader(
  name: string,
  { attributes }: MadeType & { readonly kind: 'composite' },
  oids: OidDatabase,
  depth: number,
): TypeReader | undefined {
  const declared = attributes.filter((each) => each !== null);
  const readers = declared.map((each) => typeReader(each.oid, oids, depth));
  if (readers.includes(undefined)) return undefined;
  const known = new Map<number, ReadText | null>();
  const textOf = (oid: number): ReadText | null => {
    let text = known.get(oid);
    if (text === undefined) {
      const reader = typeReader(oid, oids, depth);
      // Of what is declared, the column's own refusal has judged.
      const isReadable = reader?.isSessionBound === false || declared.some((each) => each.oid === oid);
      known.set(oid, (text = isReadable ? (reader?.text ?? null) : null));
    }
    return text;
  };
  const isWritable = readers.every((each) => each!.text !== null);
  return {
    name,
    text: isWritable ? recordText(textOf) : null,
    isSessionBound: readers.some((each) => each!.isSessionBound),
  };
}

/** Values of the type come as text, whatever the format. */
export function isAlwaysText(oid: number, oids: OidDatabase): boolean {
  return ALWAYS_TEXT.has(oids.baseTypeOid(oid));
}

function derived(name: string, { text, isSessionBound }: TypeReader, make: (text: ReadText) => ReadText): TypeReader {
  return { name, text: text === null ? null : make(text), isSessionBound };
}

const BUILT_IN_READERS: ReadonlyMap<number, TypeReader> = builtInReaders();

function builtInReaders(): Map<number, TypeReader> {
  const readers = new Map<number, TypeReader>();
  const add = (oid: number, arrayOid: number, reader: TypeReader): void => {
    const delimiter = oid === BOX ? ';' : COMMA;
    readers.set(oid, reader);
    readers.set(
      arrayOid,
      derived(`${reader.name}[]`, reader, (text) => arrayText({ oid, text, delimiter })),
    );
  };
  const builtIn = (oid: number): BuiltInType => BUILT_IN.get(oid)!;
  for (const [oid, type] of BUILT_IN) add(oid, type.arrayOid, type);
  for (const [name, { oid, arrayOid, elementOid }] of [
    ['int2vector', INT2_VECTOR],
    ['oidvector', OID_VECTOR],
  ] as const) {
    const { text, isSessionBound } = builtIn(elementOid);
    const vector = vectorText({ oid: elementOid, text: text!, delimiter: COMMA });
    add(oid, arrayOid, { name, text: vector, isSessionBound });
  }
  for (const each of BUILT_IN_RANGES) {
    const range = derived(each.name, builtIn(each.subtype), rangeText);
    add(each.oid, each.arrayOid, range);
    add(each.multirangeOid, each.multirangeArrayOid, derived(each.multirange, range, multirangeText));
  }
  return readers;
}
