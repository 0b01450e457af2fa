import type { RowChange } from '../../changes/change.js';
import { canonicalTable } from '../../changes/table-pattern.js';
import type { Row } from '../../decoder/pgoutput-messages.js';
import { printable } from '../printable.js';
import type { Terminal } from '../terminal.js';
import { textWidth } from '../text-table.js';
import type { ChangePrinter } from './tail-selection.js';

/** Where there is no terminal to fit in. */
const PIPE_WIDTH = 160;
const LEAST_VALUE = 12;
const COLOURS = { insert: 'green', update: 'yellow', delete: 'red', truncate: 'magenta' } as const;

/** One line of JSON for each change, as `change.toJSON()` has it, without the name of an app. */
export class JsonPrinter implements ChangePrinter {
  constructor(private readonly terminal: Terminal) {}

  change(change: RowChange): boolean {
    const { app: _, ...rest } = change.toJSON();
    return this.terminal.printJson(rest);
  }
}

/** One column of a row, as it was and as it is; undefined: nobody said. */
interface Cell {
  readonly column: string;
  readonly before: string | undefined;
  readonly after: string | undefined;
}

/** For people: a head line, and below it the columns, old and new values side by side. */
export class TextPrinter implements ChangePrinter {
  private readonly told = new Set<string>();

  /** @param isFull values are shown whole, however long */
  constructor(
    private readonly terminal: Terminal,
    private readonly isFull: boolean,
  ) {}

  change(change: RowChange): boolean {
    this.tellOfOldValues(change);
    return this.terminal.print([this.head(change), ...this.body(change)].join('\n'));
  }

  private head(change: RowChange): string {
    const { operation, schema, table, commitTimestamp, id } = change;
    const name = printable(canonicalTable(schema, table));
    const word = this.terminal.style(['bold', COLOURS[operation]], operation.toUpperCase().padEnd(8));
    const time = this.terminal.style('dim', commitTimestamp.toISOString());
    return `${word} ${this.terminal.style('bold', name)}  ${time}  ${this.terminal.style('dim', id)}`;
  }

  private body(change: RowChange): string[] {
    switch (change.operation) {
      case 'insert':
        return this.one(change.record, 'green');
      case 'delete':
        return this.one(change.oldRecord ?? {}, 'red');
      case 'update':
        return this.both(change.record, change.oldRecord, new Set(change.unchangedToast));
      case 'truncate':
        return [change.cascade ? 'CASCADE' : '', change.restartIdentity ? 'RESTART IDENTITY' : '']
          .filter((word) => word !== '')
          .map((word) => `  ${word}`);
    }
  }

  private one(row: Row, colour: 'green' | 'red'): string[] {
    const cells = Object.entries(row).map(([column, value]) => [printable(column), valueText(value)] as const);
    const width = widest(cells.map(([column]) => column));
    const most = this.room(width, 1);
    return cells.map(
      ([column, value]) => `  ${column.padEnd(width)}  ${this.terminal.style(colour, this.cut(value, most))}`,
    );
  }

  /** Without old values, the new ones stand alone. */
  private both(record: Row, oldRecord: Row | null, unsent: ReadonlySet<string>): string[] {
    const columns = [...new Set([...Object.keys(record), ...unsent])];
    const cells = columns.map((column): Cell => {
      const before = oldRecord !== null && Object.hasOwn(oldRecord, column) ? valueText(oldRecord[column]) : undefined;
      const after = unsent.has(column) ? undefined : valueText(record[column]);
      return { column: printable(column), before, after };
    });
    const width = widest(cells.map(({ column }) => column));
    const most = this.room(width, oldRecord === null ? 1 : 2);
    const olds = cells.map(({ before }) => this.cut(before ?? '', most));
    const oldWidth = oldRecord === null ? 0 : widest(olds);
    return cells.map(({ column, before, after }, index) => {
      const isChanged = before !== undefined && after !== undefined && before !== after;
      const old = olds[index]!;
      const pad = ' '.repeat(oldWidth - (oldRecord === null ? 0 : textWidth(old)));
      const arrow = oldRecord === null ? '' : isChanged ? ' -> ' : '    ';
      const left = oldRecord === null ? '' : this.terminal.style(isChanged ? 'red' : 'dim', old) + pad;
      return `  ${column.padEnd(width)}  ${left}${arrow}${this.newText(before, after, most, oldRecord !== null)}`.trimEnd();
    });
  }

  private newText(before: string | undefined, after: string | undefined, most: number, isBeside: boolean): string {
    if (after === undefined) return this.terminal.style('dim', '(unchanged, not sent)');
    const text = this.cut(after, most);
    if (!isBeside) return text;
    return this.terminal.style(before !== undefined && before !== after ? 'green' : 'dim', text);
  }

  /** Characters for each of so many values in a line. */
  private room(columnWidth: number, values: number): number {
    if (this.isFull) return Infinity;
    const width = this.terminal.columns ?? PIPE_WIDTH;
    return Math.max(LEAST_VALUE, Math.floor((width - columnWidth - 4 - 4 * (values - 1)) / values));
  }

  private cut(text: string, most: number): string {
    const width = textWidth(text);
    if (width <= most) return text;
    return `${[...text].slice(0, most - 1).join('')}…`;
  }

  /** Once for each table: what would bring the old values. */
  private tellOfOldValues(change: RowChange): void {
    if (change.operation !== 'update' || change.changedColumns !== null) return;
    const { schema, table } = change;
    const name = canonicalTable(schema, table);
    if (this.told.has(name)) return;
    this.told.add(name);
    this.terminal.say(
      `Old values of ${name} are not sent, but for those of a key that changes. To see them: ` +
        `ALTER TABLE ${quoted(schema)}.${quoted(table)} REPLICA IDENTITY FULL; (at the price of more write-ahead log)`,
    );
  }
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

function widest(texts: readonly string[]): number {
  return Math.max(0, ...texts.map(textWidth));
}

/** A text that looks like a null, or like nothing, is quoted. */
function valueText(value: unknown): string {
  if (value === null || value === undefined) return 'NULL';
  const text = String(value);
  return text === '' || text === 'NULL' ? `'${text}'` : printable(text);
}
