import { OidDatabase } from '#lib/decoder/oid-database.js';
import type { Relation, RelationColumn, Row } from '#lib/decoder/pgoutput-messages.js';
import { RowReader } from '#lib/decoder/row-reader.js';
import { ByteReader } from '#lib/protocol/byte-reader.js';
import type { CustomTypes } from '#lib/types/type-parsers.js';
import { embedded, tuple, type Cell, type ColumnSpec } from '../../support/pgoutput-encoder.js';

export function relationOf(columns: readonly ColumnSpec[], table = 'things'): Relation {
  return { id: 1, schema: 'public', table, replicaIdentity: 'default', columns: columns.map(columnOf) };
}

export function columnOf({ name, typeOid = 25, typeModifier = -1, isKey = false }: ColumnSpec): RelationColumn {
  return { name, typeOid, typeModifier, isKey };
}

export function rowReaderOf(
  columns: readonly ColumnSpec[],
  options: { domains?: ReadonlyMap<number, number>; types?: CustomTypes } = {},
): RowReader {
  return new RowReader(relationOf(columns), {
    oids: new OidDatabase(options.domains),
    customTypes: options.types,
  });
}

/** A reader at a tuple of these cells, with other bytes around it. */
export function readerAt(cells: readonly Cell[] | Buffer, filler = 0xff): ByteReader {
  const { buffer, start, end } = embedded(Buffer.isBuffer(cells) ? cells : tuple(cells), filler);
  return new ByteReader().reset(buffer, start, end, 'Insert');
}

export function readRow(columns: readonly ColumnSpec[], cells: readonly Cell[], types?: CustomTypes): Row {
  return rowReaderOf(columns, types === undefined ? {} : { types }).row(readerAt(cells));
}
