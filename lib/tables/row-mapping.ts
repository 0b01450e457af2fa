import type { RowChange } from '../changes/change.js';
import { MappedDelete, MappedInsert, MappedUpdate } from './mapped-changes.js';
import { RecordMapper, type RecordPlan } from './record-mapper.js';

type Row = Record<string, unknown>;

/** A column that says which class a row is of, and the plan of each class by its value. */
export interface PlansByValue {
  readonly column: string;
  readonly plans: ReadonlyMap<string, RecordPlan>;
}

/** How changes of one table become those of an ORM's records. */
export class RowMapping {
  private readonly base: RecordMapper;
  private readonly classes: ReadonlyMap<string, RecordMapper>;
  private readonly columns = new Map<string, Set<string>>();

  constructor(
    base: RecordPlan,
    private readonly byValue: PlansByValue | null = null,
  ) {
    this.base = new RecordMapper(base);
    const plans = [...(byValue?.plans ?? [])];
    this.classes = new Map(plans.map(([value, plan]) => [value, new RecordMapper(plan)]));
    for (const plan of [base, ...plans.map(([, each]) => each)]) {
      for (const { column, property } of plan.columns) {
        const known = this.columns.get(property);
        if (known === undefined) this.columns.set(property, new Set([column]));
        else known.add(column);
      }
    }
  }

  /** @returns undefined where there is no such property */
  columnsOf(property: string): readonly string[] | undefined {
    const found = this.columns.get(property);
    return found === undefined ? undefined : [...found];
  }

  get properties(): readonly string[] {
    return [...this.columns.keys()];
  }

  map(change: RowChange): RowChange {
    switch (change.operation) {
      case 'insert': {
        const { transaction, relation, record } = change;
        return new MappedInsert(transaction, relation, change, this.mapperOf(record).map(record));
      }
      case 'update': {
        const { transaction, relation, record, oldRecord, changedColumns, rowKey } = change;
        const mapper = this.mapperOf(record);
        return new MappedUpdate(
          transaction,
          relation,
          change,
          mapper.map(record),
          oldRecord === null ? null : mapper.map(oldRecord),
          changedColumns === null ? null : mapper.propertiesOf(changedColumns),
          mapper.propertiesOf(change.unchangedToast),
          rowKey,
          mapper.propertiesOf(change.rereadToast),
        );
      }
      case 'delete': {
        const { transaction, relation, oldRecord } = change;
        const mapped = oldRecord === null ? null : this.mapperOf(oldRecord).map(oldRecord);
        return new MappedDelete(transaction, relation, change, mapped);
      }
      case 'truncate':
        return change;
    }
  }

  private mapperOf(row: Row): RecordMapper {
    if (this.byValue === null) return this.base;
    return this.classes.get(String(row[this.byValue.column])) ?? this.base;
  }
}
