import { EventEmitter } from 'node:events';
import { PassThrough } from 'node:stream';
import { describe, expect, it } from '@jest/globals';
import { Insert, Update } from '#lib/changes/change.js';
import { TransactionInfo } from '#lib/changes/transaction.js';
import { JsonPrinter, TextPrinter } from '#lib/cli/tail/change-printers.js';
import { Terminal, type World } from '#lib/cli/terminal.js';
import type { Row } from '#lib/decoder/pgoutput-messages.js';

const PLACE = { walHigh: 0, walLow: 1, ordinal: 0, index: 0 };
const TRANSACTION = new TransactionInfo('default', 16n, 7, new Date(0));
const ORDERS = { schema: 'public', table: 'orders' };

function printed(use: (terminal: Terminal) => void, columns?: number): { out: string; err: string } {
  const stdout = Object.assign(new PassThrough(), { isTTY: columns !== undefined, columns });
  const stderr = new PassThrough();
  const world = Object.assign(new EventEmitter(), { stdin: new PassThrough(), stdout, stderr, env: { NO_COLOR: '1' } });
  use(new Terminal(world as World));
  return { out: String(stdout.read() ?? ''), err: String(stderr.read() ?? '') };
}

const insert = (record: Row) => new Insert(TRANSACTION, ORDERS, PLACE, record);
const update = (record: Row, old: Row | null, toast: readonly string[] = [], changed: string[] | null = []) =>
  new Update(TRANSACTION, ORDERS, PLACE, record, old, changed, toast);
const body = (text: string): string[] => text.trimEnd().split('\n').slice(1);

describe('changes in a terminal', () => {
  it('fit in its width, unless they are wanted whole', () => {
    const long = 'x'.repeat(200);
    const narrow = printed((terminal) => new TextPrinter(terminal, false).change(insert({ id: '1', text: long })), 40);
    expect(body(narrow.out).map(({ length }) => length)).toEqual([9, 40]);
    expect(narrow.out).toContain('…');
    const both = printed(
      (terminal) => new TextPrinter(terminal, false).change(update({ text: long }, { text: `${long}y` })),
      60,
    );
    expect(body(both.out)[0]!.length).toBeLessThanOrEqual(60);
    const whole = printed((terminal) => new TextPrinter(terminal, true).change(insert({ text: long })), 40);
    expect(body(whole.out)).toEqual([`  text  ${long}`]);
  });

  it('tell null, nothing, a text that looks like it, and what was not sent apart', () => {
    const { out } = printed((terminal) => {
      const record = { a: null, b: '', c: 'NULL', d: 'x' };
      new TextPrinter(terminal, false).change(update(record, null, ['doc'], null));
    });
    expect(body(out)).toEqual([
      '  a    NULL',
      `  b    ''`,
      `  c    'NULL'`,
      '  d    x',
      '  doc  (unchanged, not sent)',
    ]);
  });

  it('show the key that changed beside what has no old value', () => {
    const { out, err } = printed((terminal) => {
      const printer = new TextPrinter(terminal, false);
      printer.change(update({ id: '2', text: 'x' }, { id: '1' }, [], null));
      printer.change(update({ id: '3', text: 'x' }, { id: '2' }, [], null));
    });
    expect(body(out).slice(0, 2)).toEqual(['  id    1 -> 2', '  text       x']);
    expect(err.match(/REPLICA IDENTITY FULL/g)).toHaveLength(1);
  });

  it('are one line each for programs, whatever is in them', () => {
    const { out } = printed((terminal) => {
      const printer = new JsonPrinter(terminal);
      printer.change(insert({ text: 'a\nb\u2028' }));
      printer.change(insert({ big: 1n }));
    });
    const lines = out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines).toMatchObject([{ record: { text: 'a\nb\u2028' }, id: '0/10/0' }, { record: { big: '1' } }]);
  });
});
