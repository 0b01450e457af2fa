import { describe, expect, it } from '@jest/globals';
import { Update } from '#lib/changes/change.js';
import { TransactionInfo } from '#lib/changes/transaction.js';
import { RelationCache } from '#lib/decoder/relation-cache.js';
import { OidDatabase } from '#lib/decoder/oid-database.js';
import { ConnectionError } from '#lib/errors/replication.error.js';
import { ToastFiller } from '#lib/events/toast-filler.js';
import { ToastRefusal, type ToastOutcome, type ToastSource } from '#lib/interfaces/toast-source.interface.js';
import { HISTORY } from '../../support/history.js';
import { SOME_TIME } from '../../support/pgoutput-encoder.js';

const RELATION = { id: 7, schema: 'public', table: 'docs', replicaIdentity: 'default', columns: [] } as const;
const CACHED = new RelationCache({ oids: new OidDatabase() }).add(RELATION);
const TRANSACTION = new TransactionInfo('default', 9n, 5, SOME_TIME, HISTORY);

function update(id: number, lacking = ['body']): Update {
  const place = { walHigh: 0, walLow: id, ordinal: 0, index: id };
  const key = { cached: CACHED, names: ['id'], values: [String(id)] };
  return new Update(TRANSACTION, RELATION, place, { id, note: 'n' }, null, null, lacking, key);
}

/** Thrown; read; null: gone; one of them is refused. */
type Answer = Error | string | null | { readonly index: number; readonly refusal: ToastRefusal };

/** Answers as it is told, one after another, the last one for ever. */
class Source implements ToastSource {
  readonly asked: number[][] = [];
  constructor(private readonly answers: Answer[]) {}
  async read(updates: readonly Update[]): Promise<readonly ToastOutcome[]> {
    this.asked.push(updates.map(({ index }) => index));
    const answer = this.answers.length > 1 ? this.answers.shift()! : this.answers[0]!;
    if (answer instanceof Error) throw answer;
    return updates.map(({ index }) => {
      if (answer === null) return null;
      if (typeof answer === 'string') return new Map([['body', `${answer} ${index}`]]);
      return index === answer.index ? answer.refusal : new Map([['body', `read ${index}`]]);
    });
  }
}

function filler(...answers: Answer[]) {
  const source = new Source(answers);
  const warnings: string[] = [];
  const logger = {
    log: () => undefined,
    error: () => undefined,
    warn: (text: unknown) => void warnings.push(String(text)),
  };
  return { source, warnings, toast: new ToastFiller(source, logger), run: new AbortController() };
}

const refusal = (code: string): Error => Object.assign(new Error('the server says no'), { code });

describe('unchanged TOAST values', () => {
  it('are not asked for where nothing is missing', () => {
    const { toast, source, run } = filler('read');
    const whole = [update(1, []), 'a message', [update(2, [])], undefined];
    for (const payload of whole) expect(toast.complete(payload, run.signal)).toBe(payload);
    expect(source.asked).toEqual([]);
  });

  it('are asked for once, for an array together, and the change itself stays as it was', async () => {
    const { toast, source, run } = filler('read');
    const [one, two, three] = [update(1), update(2, []), update(3)];
    const filled = (await toast.complete([one, two, three], run.signal)) as Update[];
    expect(filled.map(({ record }) => record)).toEqual([
      { id: 1, note: 'n', body: 'read 1' },
      { id: 2, note: 'n' },
      { id: 3, note: 'n', body: 'read 3' },
    ]);
    expect(filled[0]).toMatchObject({ index: 1, unchangedToast: [], rereadToast: ['body'], lsn: '0/9' });
    expect(filled[1]).toBe(two);
    expect(one).toMatchObject({ record: { id: 1, note: 'n' }, unchangedToast: ['body'], rereadToast: [] });
    expect(await toast.complete(one, run.signal)).toBe(filled[0]);
    expect(source.asked).toEqual([[1, 3]]);
  });

  it('of a row that is gone stay absent', async () => {
    const { toast, run } = filler(null);
    const change = update(1);
    expect(await toast.complete(change, run.signal)).toBe(change);
  });

  it('are asked for again while the server cannot be asked, and come then', async () => {
    const { toast, source, warnings, run } = filler(
      new ConnectionError('no server'),
      refusal('57P01'),
      refusal('53300'),
      'read',
    );
    expect(await toast.complete(update(1), run.signal)).toMatchObject({ rereadToast: ['body'] });
    expect(source.asked).toHaveLength(4);
    expect(warnings).toEqual(['Unchanged TOAST values cannot be read now, and are tried again: no server']);
  });

  it('that the server refuses stay absent, the others come: said once for a table and a reason', async () => {
    const [one, two] = [1, 2].map((index) => ({ index, refusal: new ToastRefusal('42501', 'the server says no') }));
    const { toast, warnings, run } = filler(one!, two!);
    const [three, four] = [update(1), update(3)];
    expect(await toast.complete([three, four], run.signal)).toMatchObject([
      { unchangedToast: ['body'], rereadToast: [] },
      { unchangedToast: [], rereadToast: ['body'], record: { body: 'read 3' } },
    ]);
    expect(await toast.complete(update(2), run.signal)).toMatchObject({ unchangedToast: ['body'] });
    expect(warnings).toEqual([
      'public.docs: unchanged TOAST values stay unread, `unchangedToast` names them: the server says no',
    ]);
  });

  it('are given up where the run ends; whoever comes next asks anew', async () => {
    const { toast, source, run } = filler(new ConnectionError('no server'), new ConnectionError('no server'), 'read');
    const change = update(1);
    const filled = toast.complete(change, run.signal) as Promise<unknown>;
    run.abort();
    await expect(filled).rejects.toThrow('aborted');
    expect(await toast.complete(change, new AbortController().signal)).toMatchObject({ rereadToast: ['body'] });
    expect(source.asked).toHaveLength(3);
  });
});
