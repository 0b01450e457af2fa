import { readerOf, versionedText } from './documents.js';
import { malformed, readUtf8, type ReadText } from './value-reader.js';

/** An hstore, as `hstore_send` writes it: the number of pairs; of each the key, and the value, whose length is -1 for null. */
const hstoreText: ReadText = (b, start, end) => {
  const reader = readerOf(b, start, end);
  const count = reader.int32();
  if (count < 0) malformed(`${count} pairs`);
  const pairs: string[] = [];
  const next = (length: number): string => {
    const at = reader.skip(length);
    return `"${b.utf8Slice(at, at + length).replace(/["\\]/g, '\\$&')}"`;
  };
  for (let left = count; left > 0; left--) {
    const key = next(reader.int32());
    const length = reader.int32();
    pairs.push(`${key}=>${length === -1 ? 'NULL' : next(length)}`);
  }
  reader.expectEnd();
  return pairs.join(', ');
};

/** Base types of extensions, by their send functions: of citext and others that are text; of ltree and hstore. */
export const EXTENSION_TEXTS: Readonly<Record<string, ReadText>> = {
  textsend: readUtf8,
  ltree_send: versionedText,
  lquery_send: versionedText,
  ltxtq_send: versionedText,
  hstore_send: hstoreText,
};
