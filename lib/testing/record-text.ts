import type { HandlerRecord } from './handler-record.js';
import { changeOf, tableOf } from './outcome-query.js';
import { errorText, valueText } from './value-text.js';

/** So many are told; of more, the last. */
const MOST_TOLD = 20;

/** For the message of a test that has failed: what was handled, and what else has become of what came. */
export function describeRecords(records: readonly HandlerRecord[]): string {
  if (records.length === 0) return 'No handler was called.';
  const told = records.slice(-MOST_TOLD);
  const left = records.length - told.length;
  const head = `What the handlers were called with (${records.length})${left === 0 ? '' : `, the last ${told.length}`}:`;
  return [head, ...told.map((record) => `  ${describeRecord(record)}`)].join('\n');
}

function describeRecord({ handler, subject, attempt, outcome, error }: HandlerRecord): string {
  const fate = attempt === 0 ? `${outcome}, not tried` : `${outcome}, attempt ${attempt}`;
  const reason = error === undefined ? '' : `: ${errorText(error).split('\n')[0]!}`;
  return `${fate}${reason} · ${handler} · ${describeSubject(subject)}`;
}

function describeSubject(subject: HandlerRecord['subject']): string {
  const table = tableOf(subject);
  const change = changeOf(subject);
  if (change !== null) {
    const rows = (['record', 'oldRecord'] as const).map((name) => {
      const row = (change as { record?: unknown; oldRecord?: unknown })[name];
      return row === undefined || row === null ? '' : ` ${name} ${valueText(row)}`;
    });
    return `${change.operation} of ${table}${rows.join('')}`;
  }
  if (table !== undefined) return `the schema of ${table}`;
  if ('prefix' in subject) return `message "${subject.prefix}" ${valueText(subject.text)}`;
  return `the transaction committed at ${subject.lsn}`;
}
