import { OperationBit, type RowChange, type RowOperation } from '../../changes/change.js';
import { TablePattern } from '../../changes/table-pattern.js';
import { listOf, type OptionValues } from '../command.js';
import { UsageError } from '../usage.error.js';

/** Which changes are to be shown. */
export interface TailSelection {
  readonly pattern: TablePattern;
  /** As it was given. */
  readonly tables: readonly string[];
  /** Union of the operation bits. */
  readonly mask: number;
  /** Publications that were named; empty: they are found or made. */
  readonly publications: readonly string[];
}

/** @throws UsageError, TablePatternError */
export function readSelection(values: OptionValues): TailSelection {
  const given = listOf(values, 'table');
  const tables = given.length === 0 ? ['*'] : given;
  const operations = listOf(values, 'operation').flatMap((text) => text.split(','));
  const mask = operations.reduce((all, operation) => all | bitOf(operation.trim()), 0);
  return {
    pattern: new TablePattern(tables),
    tables,
    mask: mask === 0 ? OperationBit.insert | OperationBit.update | OperationBit.delete | OperationBit.truncate : mask,
    publications: listOf(values, 'publication'),
  };
}

function bitOf(operation: string): number {
  if (Object.hasOwn(OperationBit, operation)) return OperationBit[operation as RowOperation];
  throw new UsageError(`There is no operation "${operation}"`, {
    hint: `it is one of ${Object.keys(OperationBit).join(', ')}.`,
  });
}

/** Whoever takes what is shown. */
export interface ChangePrinter {
  /** @returns false where the reader is behind */
  change(change: RowChange): boolean;
}
