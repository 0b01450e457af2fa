import { setOwn } from '../types/rich/own-property.js';

type Row = Record<string, unknown>;

/** One column, and where the ORM has it. */
export interface MappedColumn {
  /** As in the catalogue. */
  readonly column: string;
  /** Of the record: where it is embedded, of what holds it. */
  readonly property: string;
  /** Null: no property has its value, which stays under the column's name. */
  readonly place: ColumnPlace | null;
}

export interface ColumnPlace {
  /** Objects within the record on the way to it, outermost first. */
  readonly embedded: readonly EmbeddedObject[];
  readonly name: string;
  /** Null: the value as it is. SQL's null is asked for, too. */
  readonly read: ((value: unknown) => unknown) | null;
}

export interface EmbeddedObject {
  readonly name: string;
  readonly prototype: object;
}

/** How the records of one class or table are made. */
export interface RecordPlan {
  readonly prototype: object;
  readonly columns: readonly MappedColumn[];
}

/**
 * Rows to records of an ORM, by a plan that is made once. Constructors are not called: a column that was not sent has to be
 * absent from the record, as it is from the row.
 */
export class RecordMapper {
  private readonly prototype: object;
  private readonly steps: readonly (readonly [column: string, place: ColumnPlace])[];
  private readonly properties = new Map<string, string>();
  private readonly placed = new Set<string>();
  private readonly taken = new Set<string>();

  constructor({ prototype, columns }: RecordPlan) {
    this.prototype = prototype;
    this.steps = columns.flatMap(({ column, place }) => (place === null ? [] : [[column, place] as const]));
    for (const { column, property, place } of columns) {
      this.properties.set(column, property);
      if (place === null) continue;
      this.placed.add(column);
      this.taken.add(property);
    }
  }

  /** @param row whole, or some of its columns */
  map(row: Row): Row {
    const record = Object.create(this.prototype) as Row;
    for (const [column, { embedded, name, read }] of this.steps) {
      if (!Object.hasOwn(row, column)) continue;
      const value = row[column];
      setOwn(embedded.length === 0 ? record : within(record, embedded), name, read === null ? value : read(value));
    }
    for (const column of Object.keys(row)) {
      // What the ORM does not know is not lost.
      if (!this.placed.has(column) && !this.taken.has(column)) setOwn(record, column, row[column]);
    }
    return record;
  }

  /** @returns each property once, as its first column stands; a column that no property has, by its own name */
  propertiesOf(columns: readonly string[]): readonly string[] {
    if (columns.length === 0) return columns;
    return [...new Set(columns.map((column) => this.properties.get(column) ?? column))];
  }
}

function within(record: Row, path: readonly EmbeddedObject[]): Row {
  let holder = record;
  for (const { name, prototype } of path) {
    if (!Object.hasOwn(holder, name)) setOwn(holder, name, Object.create(prototype));
    holder = holder[name] as Row;
  }
  return holder;
}
