import { BinaryFormatError } from '../../errors/replication.error.js';
import { readerOf } from './documents.js';
import { malformed, type ReadText } from './value-reader.js';

/** The most columns that a table can have; a composite type has no more. */
const MOST_FIELDS = 1_664;
const TROUBLE = /^$|["\\(), \t\n\v\f\r]/;

/**
 * A composite value, as `record_send` writes it: the number of fields; of each its type's oid, its length, its bytes.
 *
 * @param textOf how a type is read; null: nobody knows
 */
export function recordText(textOf: (oid: number) => ReadText | null): ReadText {
  return (b, start, end) => {
    const reader = readerOf(b, start, end);
    const count = reader.int32();
    if (count < 0 || count > MOST_FIELDS) malformed(`${count} fields`);
    const fields: string[] = [];
    for (let index = 0; index < count; index++) {
      const oid = reader.uint32();
      const length = reader.int32();
      if (length === -1) {
        fields.push('');
        continue;
      }
      const at = reader.skip(length);
      const text = textOf(oid);
      // An attribute that was added, or whose type was altered.
      if (text === null) throw new BinaryFormatError(`the binary form of an attribute (oid ${oid}) is not known`);
      const field = text(b, at, at + length);
      fields.push(TROUBLE.test(field) ? `"${field.replace(/["\\]/g, '$&$&')}"` : field);
    }
    reader.expectEnd();
    return `(${fields.join(',')})`;
  };
}
