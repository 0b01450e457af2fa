import { kindOf, type OptionReader } from './option-reader.js';
import type { ResolvedTypes } from './pg-listener-config.js';

const LARGEST_OID = 2 ** 32 - 1;

/** The option `types`. Whether a type of a name exists is for the database to say. */
export function readTypesOption(reader: OptionReader, value: unknown): ResolvedTypes {
  if (value === 'rich') return { rich: true, parsers: {} };
  if (typeof value === 'string') {
    reader.fault('types', "is another string; 'rich' or an object is wanted");
    return { rich: false, parsers: {} };
  }
  const given = reader.object('types', value, ['rich', 'parsers']);
  return {
    rich: reader.boolean('types.rich', given['rich'], false),
    parsers: readParsers(reader, given['parsers']),
  };
}

function readParsers(reader: OptionReader, value: unknown): ResolvedTypes['parsers'] {
  if (value === undefined) return {};
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    reader.fault('types.parsers', `is ${kindOf(value)}; an object by a type's name or oid is wanted`);
    return {};
  }
  const parsers = Object.create(null) as Record<string, (text: string) => unknown>;
  for (const [name, parse] of Object.entries(value)) {
    const path = `types.parsers['${name}']`;
    if (name.trim() === '' || (/^\d+$/.test(name) && Number(name) > LARGEST_OID)) {
      reader.fault(path, "is no type; its name or oid is wanted, such as 'shop.mood' or 20");
    } else if (typeof parse !== 'function') {
      reader.fault(path, `is ${kindOf(parse)}; a function that takes text is wanted`);
    } else parsers[name] = parse as (text: string) => unknown;
  }
  return parsers;
}
