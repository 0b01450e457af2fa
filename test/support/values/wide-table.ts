import fc from 'fast-check';
import type { TestRow, TestTable } from './value-stream.js';
import { brief, type Values } from './values.js';

export interface WideColumn {
  readonly name: string;
  /** SQL. */
  readonly type: string;
  readonly values: Values;
}

/** V8 optimises one function for each table, in time that grows much faster than the number of columns. */
const MOST_COLUMNS = 30;

/** Tables with a column of each type between them: what a session's settings do to any is seen in a few statements. */
export function wideTables(
  columns: readonly WideColumn[],
  prefix = 'wide_',
  adapt?: (text: string) => string,
): WideTable[] {
  return Array.from({ length: Math.ceil(columns.length / MOST_COLUMNS) }, (_, index) => {
    const from = index * MOST_COLUMNS;
    return new WideTable(`${prefix}${index}`, columns.slice(from, from + MOST_COLUMNS), adapt);
  });
}

/** A table with several columns, each with values of its own. */
export class WideTable implements TestTable {
  readonly columns: readonly WideColumn[];

  /** @param adapt changes a value's text, for a database that cannot hold every one */
  constructor(
    readonly name: string,
    columns: readonly WideColumn[],
    private readonly adapt: (text: string) => string = (text) => text,
  ) {
    this.columns = columns.map(({ name, type, values }) => ({ name, type, values: brief(values, 30, 600) }));
  }

  /** Each example at least once. */
  exampleRows(): TestRow[] {
    const longest = Math.max(...this.columns.map(({ values }) => values.examples.length));
    return Array.from({ length: longest }, (_, row) =>
      this.columns.map(({ values: { examples } }) => this.adapt(examples[row % examples.length]!)),
    );
  }

  randomRows(): fc.Arbitrary<TestRow[]> {
    const cells = this.columns.map(({ values }) => fc.option(values.arbitrary.map(this.adapt), { freq: 10 }));
    return fc.array(fc.tuple(...cells), { minLength: 1, maxLength: 6 });
  }
}
