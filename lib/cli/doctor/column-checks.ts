import type { Client } from 'pg';
import { OperationBit } from '../../changes/change.js';
import { canonicalTable, TablePattern } from '../../changes/table-pattern.js';
import { compareColumns, readColumnFacts } from '../../publications/column-needs.js';
import type { ColumnNeeds, TableRow } from '../../publications/publication-plan.js';
import { byOwner, fault, namesText, ok, type Finding } from './finding.js';

const CHECK = 'old-values';
const EVERY_OPERATION = Object.values(OperationBit).reduce((all, bit) => all | bit, 0);

/** @param texts columns, several with commas; undefined: none are asked for */
export function readNeeds(whenChanged: readonly string[], oldRecord: readonly string[]): ColumnNeeds | undefined {
  const [changed, old] = [columnsOf(whenChanged), columnsOf(oldRecord)];
  if (changed.length + old.length === 0) return undefined;
  return { whenChanged: changed, oldRecord: old.includes('full') ? 'full' : old };
}

function columnsOf(texts: readonly string[]): string[] {
  return texts.flatMap((text) => text.split(',')).map((name) => name.trim());
}

/**
 * Whether handlers with these options would get what they ask for, as the boot looks at it.
 *
 * @param publications those that the listener is given; empty: it makes its own, which carries all columns
 */
export async function checkNeeds(
  client: Client,
  needs: ColumnNeeds,
  { tables, publications, slot }: { tables: readonly TableRow[]; publications: readonly string[]; slot: string },
): Promise<Finding[]> {
  const facts =
    publications.length > 0
      ? await readColumnFacts(client, publications)
      : await readColumnFacts(
          client,
          [`pg_listener_${slot}`],
          tables.map(({ oid }) => oid),
        );
  const wanted = new Set(tables.map(({ schema, table }) => canonicalTable(schema, table)));
  const looked = facts.filter(({ schema, table }) => wanted.has(canonicalTable(schema, table)));
  const findings = looked.flatMap((table) => {
    const pattern = new TablePattern([canonicalTable(table.schema, table.table)]);
    const { faults } = compareColumns([table], [{ pattern, mask: EVERY_OPERATION, source: 'a handler', needs }]);
    return faults.map((text) => {
      const at = table.makeFull === '' ? -1 : text.indexOf(table.makeFull);
      const why =
        'a listener with such a handler of the table does not start; of a pattern, the handler is not called.';
      if (at === -1) return fault('error', CHECK, text, why, []);
      return fault('error', CHECK, text.slice(0, at).replace(/: $/, ''), why, byOwner(text.slice(at)));
    });
  });
  if (findings.length > 0) return findings;
  const names = looked.map(({ schema, table }) => canonicalTable(schema, table));
  return [ok(CHECK, `Rows as they were come as asked for${names.length === 0 ? '' : `: ${namesText(names)}`}`)];
}
