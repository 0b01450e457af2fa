import { Delete, Insert, Update } from '../changes/change.js';

type Row = Record<string, unknown>;

/** As `Insert`, of a record that may be an instance of a class. */
export class MappedInsert extends Insert {
  protected override body(): Record<string, unknown> {
    return { record: plainOf(this.record) };
  }
}

export class MappedUpdate extends Update {
  /** Of what is embedded, every column has to be there. */
  override hasColumn<K extends string>(
    property: K,
  ): this is this & { readonly record: { readonly [P in K]: unknown } } {
    return super.hasColumn(property) && !this.unchangedToast.includes(property);
  }

  protected override body(): Record<string, unknown> {
    const { record, oldRecord } = this;
    return { ...super.body(), record: plainOf(record), oldRecord: oldRecord === null ? null : plainOf(oldRecord) };
  }
}

export class MappedDelete extends Delete {
  protected override body(): Record<string, unknown> {
    return { oldRecord: this.oldRecord === null ? null : plainOf(this.oldRecord) };
  }
}

/** What an entity has in columns; values that have a form of their own for JSON stay as they are. */
function plainOf(record: Row): Row {
  // What a schema makes of a row may be anything.
  if (!isEmbedded(record)) return record;
  return Object.fromEntries(
    Object.entries(record).map(([name, value]) => [name, isEmbedded(value) ? plainOf(value) : value]),
  );
}

function isEmbedded(value: unknown): value is Row {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || ArrayBuffer.isView(value)) return false;
  return !(value instanceof Date) && typeof (value as { toJSON?: unknown }).toJSON !== 'function';
}
