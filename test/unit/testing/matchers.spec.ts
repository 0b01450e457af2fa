import 'reflect-metadata';
import { AssertionError } from 'node:assert';
import { runInNewContext } from 'node:vm';
import { afterEach, describe, expect, it } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import { of, throwError } from 'rxjs';
import {
  OnLogicalMessage,
  OnSchemaChange,
  OnTableChange,
  OnTransaction,
  SkipChange,
  table,
  TablePatternError,
  type Change,
  type InsertChange,
} from 'nestjs-pg-listener';
import {
  alter,
  assertOutcome,
  checkOutcome,
  insert,
  message,
  pgListenerMatchers,
  remove,
  TestingError,
  TestPgListener,
  update,
} from 'nestjs-pg-listener/testing';
import { TestingModules } from './boot.js';

expect.extend(pgListenerMatchers);

interface Order {
  id: number;
  status: string;
  at?: Date | null;
  tags?: string[];
}

@Injectable()
class Orders {
  @OnTableChange<Order>('orders', 'insert', { retry: { attempts: 3 }, onExhausted: 'park' })
  async onCreated({ record }: InsertChange<Order>, { attempt }: { attempt: number }): Promise<void> {
    await Promise.resolve();
    if (record.status === 'broken') throw new Error(`no stock for ${record.id}`);
    if (record.status === 'flaky' && attempt < 3) throw new Error('not yet');
  }
  @OnTableChange<Order>('orders', ['update', 'delete'])
  onTouched(change: Change<Order>): void {
    if (change.operation === 'delete') throw new SkipChange({ reason: 'not ours' });
  }
}

/** What a matcher says to whoever reads the report. */
function failureOf(matcher: () => void): string {
  try {
    matcher();
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error('the matcher passed');
}

describe('the matchers of the testing kit', () => {
  const modules = new TestingModules();
  afterEach(() => modules.close());

  it('tell what was handled, by table, operation, row and handler', async () => {
    const listener = await modules.boot([Orders]);
    await listener.emit(
      insert('orders', { id: 1, status: 'new', at: new Date(5), tags: ['a', 'b'] }),
      update('orders', { id: 1, status: 'paid' }, { id: 1, status: 'new' }),
    );
    expect(listener).toHaveHandled();
    expect(listener).toHaveHandled('orders');
    expect(listener).toHaveHandled('public.orders', { operation: 'insert' });
    expect(listener).toHaveHandled(table<Order>('orders'), { record: { id: 1, status: 'paid' } });
    expect(listener).toHaveHandled('orders', { record: { at: new Date(5), tags: ['a', 'b'] } });
    expect(listener).toHaveHandled('orders', { record: { id: expect.any(Number), tags: ['a', expect.any(String)] } });
    expect(listener).toHaveHandled('orders', { oldRecord: { status: 'new' }, handler: 'Orders.onTouched' });
    expect(listener).toHaveHandled({ handler: 'Orders.onCreated', times: 1 });
    expect(listener).toHaveHandled('orders', { times: 2 });
    expect(listener).not.toHaveHandled('invoices');
    expect(listener).not.toHaveHandled('billing.orders');
    expect(listener).not.toHaveHandled('orders', { record: { id: 2 } });
    expect(listener).not.toHaveHandled('orders', { record: { id: '1' } });
    expect(listener).not.toHaveHandled('orders', { record: { tags: ['a'] } });
    expect(listener).not.toHaveHandled('orders', { record: { at: new Date(6) } });
    expect(listener).not.toHaveHandled('orders', { record: { missing: undefined } });
    expect(listener).not.toHaveHandled('orders', { operation: 'delete' });
    expect(listener).not.toHaveHandled('orders', { times: 1 });
    expect(listener).not.toHaveRetried();
    expect(listener).not.toHaveParked();
    expect(listener).not.toHaveSkipped();
  });

  it('tell retries, what was parked, also behind another one, and what was skipped', async () => {
    const listener = await modules.boot([Orders]);
    await listener.emit(insert('orders', { id: 1, status: 'flaky' }));
    await listener.emit(remove('orders', { id: 9 }));
    await listener.emit(insert('orders', { id: 2, status: 'broken' }), insert('orders', { id: 3, status: 'new' }));

    expect(listener).toHaveRetried('orders', { record: { id: 1 }, times: 2 });
    expect(listener).toHaveRetried('orders', { record: { id: 1 }, attempt: 2, error: 'not yet' });
    expect(listener).toHaveHandled('orders', { record: { id: 1 }, attempt: 3, times: 1 });
    expect(listener).toHaveSkipped('orders', { operation: 'delete', oldRecord: { id: 9 }, error: /ours$/ });
    expect(listener).toHaveRetried('orders', { record: { id: 2 }, times: 2 });
    expect(listener).toHaveParked('orders', { record: { id: 2 }, attempt: 3, error: 'no stock', times: 1 });
    expect(listener).toHaveParked('orders', { record: { id: 3 }, attempt: 0, times: 1 });
    expect(listener).not.toHaveHandled('orders', { record: { id: 3 } });
    expect(listener.journal.records.filter(({ outcome }) => outcome === 'failed')).toEqual([]);

    await listener.parked.discard({ ids: ['1'] });
    expect(await listener.parked.retry()).toMatchObject({ handled: 1 });
    expect(listener).toHaveHandled('orders', { record: { id: 3 }, times: 1 });
  });

  it('know an error that is thrown again and again, and one that the test was told of', async () => {
    const failure = new Error('the same each time');
    @Injectable()
    class Stubborn {
      @OnTableChange<Order>('orders', 'insert', { retry: { attempts: 2 } })
      onCreated(): never {
        throw failure;
      }
    }
    const listener = await modules.boot([Stubborn]);
    await expect(listener.emit(insert('orders', { id: 1 }))).rejects.toBe(failure);
    await expect(listener.emit(insert('orders', { id: 2 }))).rejects.toBe(failure);
    const told = listener.journal.records.map(({ outcome, attempt, error }) => [outcome, attempt, error === failure]);
    expect(told).toEqual([
      ['retried', 1, true],
      ['failed', 2, true],
      ['retried', 1, true],
      ['failed', 2, true],
    ]);
  });

  it('see each item of an array, and what the handler says of it', async () => {
    @Injectable()
    class Batches {
      @OnTableChange('orders', 'insert', {
        batch: { size: 3, maxWaitMs: 1 },
        retry: { attempts: 1 },
        onExhausted: 'skip',
      })
      async onCreated(changes: readonly InsertChange<Order>[]): Promise<unknown[]> {
        await Promise.resolve();
        return changes.map(({ record }) => (record.id === 2 ? new Error('the second one') : undefined));
      }
    }
    const listener = await modules.boot([Batches]);
    await listener.emit([1, 2, 3].map((id) => insert('orders', { id })));
    expect(listener).toHaveHandled('orders', { times: 2 });
    expect(listener).toHaveSkipped('orders', { record: { id: 2 }, error: 'the second one', times: 1 });
  });

  it('see messages, transactions, changes of schema, and whatever a handler returns', async () => {
    @Injectable()
    class Everything {
      @OnLogicalMessage('outbox')
      onMessage(): unknown {
        return of('an observable');
      }
      @OnLogicalMessage('broken', { onExhausted: 'skip', retry: { attempts: 1 } })
      onBroken(): unknown {
        return throwError(() => new Error('an observable that fails'));
      }
      @OnTransaction()
      onCommit(): unknown {
        // oxlint-disable-next-line unicorn/no-thenable
        return { then: (settle: () => void) => settle() };
      }
      @OnSchemaChange('orders')
      onSchema(): void {}
      @OnTableChange('orders')
      onChange(): void {}
    }
    const listener = await modules.boot([Everything]);
    await listener.emit(message('outbox', '{"id":1}'), message('broken', ''));
    await listener.emit(
      alter('orders', { columns: [{ name: 'id' }] }, { columns: [{ name: 'id' }, { name: 'note' }] }),
      insert('orders', { id: 1 }),
    );
    expect(listener).toHaveHandled({ prefix: 'outbox', times: 1 });
    expect(listener).toHaveSkipped({ prefix: 'broken', error: 'an observable that fails' });
    expect(listener).toHaveHandled({ handler: 'Everything.onCommit', times: 2 });
    expect(listener).toHaveHandled('orders', { handler: 'Everything.onSchema', times: 1 });
    expect(listener).toHaveHandled('orders', { operation: 'insert', times: 1 });
    expect(
      failureOf(() => expect(listener).toHaveHandled('invoices'))
        .split('\n')
        .slice(2),
    ).toEqual([
      'What the handlers were called with (6):',
      `  handled, attempt 1 · Everything.onMessage · message "outbox" '{"id":1}'`,
      `  skipped, attempt 1: an observable that fails · Everything.onBroken · message "broken" ''`,
      expect.stringMatching(/^ {2}handled, attempt 1 · Everything.onCommit · the transaction committed at 0\//),
      '  handled, attempt 1 · Everything.onSchema · the schema of public.orders',
      '  handled, attempt 1 · Everything.onChange · insert of public.orders record { id: 1 }',
      expect.stringContaining('Everything.onCommit'),
    ]);
  });

  it('say what was handled when they fail', async () => {
    const listener = await modules.boot([Orders]);
    expect(failureOf(() => expect(listener).toHaveHandled('orders'))).toBe(
      'Expected one or more, and there are 0 × handled: public.orders\n\nNo handler was called.',
    );
    await listener.emit(insert('orders', { id: 2, status: 'broken' }), insert('orders', { id: 3, status: 'new' }));
    expect(
      failureOf(() =>
        expect(listener).toHaveHandled('orders', {
          operation: 'insert',
          record: { id: 1 },
          handler: 'Orders.onCreated',
        }),
      ),
    ).toBe(
      [
        'Expected one or more, and there are 0 × handled: insert of public.orders with record { id: 1 } by Orders.onCreated',
        '',
        'What the handlers were called with (4):',
        "  retried, attempt 1: no stock for 2 · Orders.onCreated · insert of public.orders record { id: 2, status: 'broken' }",
        "  retried, attempt 2: no stock for 2 · Orders.onCreated · insert of public.orders record { id: 2, status: 'broken' }",
        "  parked, attempt 3: no stock for 2 · Orders.onCreated · insert of public.orders record { id: 2, status: 'broken' }",
        "  parked, not tried · Orders.onCreated · insert of public.orders record { id: 3, status: 'new' }",
      ].join('\n'),
    );
    expect(failureOf(() => expect(listener).toHaveParked('orders', { times: 1 }))).toMatch(
      /^Expected exactly 1, and there are 2 × parked: public\.orders\n/,
    );
    expect(failureOf(() => expect(listener).not.toHaveParked('orders', { record: { id: 3 } }))).toMatch(
      /^Expected none, and there is 1 × parked: public\.orders with record \{ id: 3 \}\n/,
    );
    expect(failureOf(() => expect(listener).not.toHaveParked({ times: 2 }))).toMatch(/^Expected not exactly 2, and/);

    listener.journal.clear();
    await listener.emit(Array.from({ length: 30 }, (_, id) => update('orders', { id, status: 'x'.repeat(500) })));
    const text = failureOf(() => expect(listener).toHaveHandled('orders', { record: { id: 30 } }));
    expect(text).toContain('What the handlers were called with (30), the last 20:');
    expect(text).not.toContain('id: 9,');
    expect(text.length).toBeLessThan(5_000);
  });

  it('have plain functions below, for other test runners', async () => {
    const listener = await modules.boot([Orders]);
    await listener.emit(insert('orders', { id: 1, status: 'new' }));
    expect(checkOutcome(listener, 'handled', 'orders', { record: { id: 1 } }).pass).toBe(true);
    assertOutcome(listener, 'handled', 'orders', { record: { id: 1 } });
    expect(() => assertOutcome(listener, 'handled', 'orders', { record: { id: 2 } })).toThrow(AssertionError);
    expect(() => assertOutcome(listener, 'handled', 'orders', { record: { id: 2 } })).toThrow(
      "Orders.onCreated · insert of public.orders record { id: 1, status: 'new' }",
    );
  });

  it('take asymmetric matchers for a whole row, and patterns with any flag', async () => {
    const listener = await modules.boot([Orders]);
    await listener.emit(insert('orders', { id: 1, status: 'broken' }), insert('orders', { id: 2, status: 'broken' }));
    expect(listener).toHaveParked('orders', { record: expect.objectContaining({ id: 1 }) });
    expect(listener).toHaveParked('orders', { record: expect.not.objectContaining({ id: 1 }), times: 1 });
    expect(listener).not.toHaveParked('orders', { record: expect.objectContaining({ id: 3 }) });
    expect(listener).not.toHaveParked('orders', { oldRecord: expect.objectContaining({ id: 1 }) });
    const error = /no stock for \d/g;
    expect(listener).toHaveRetried('orders', { error, times: 2 });
    expect(listener).toHaveRetried('orders', { error, times: 2 });
    expect(failureOf(() => expect(listener).not.toHaveParked('orders', { attempt: 0 }))).toMatch(
      /^Expected none, and there is 1 × parked: public\.orders without a try\n/,
    );
  });

  it('know an error of another realm, as Node throws them, by its message', async () => {
    @Injectable()
    class Files {
      @OnTableChange('orders', 'insert', { retry: { attempts: 1 }, onExhausted: 'skip' })
      onCreated(): void {
        throw runInNewContext(`new Error('of another realm')`);
      }
    }
    const listener = await modules.boot([Files]);
    await listener.emit(insert('orders', { id: 1 }));
    expect(listener).toHaveSkipped('orders', { error: /^of another realm$/ });
    expect(failureOf(() => expect(listener).toHaveHandled('orders'))).toContain('attempt 1: of another realm ·');
  });

  it('refuse what they cannot tell of', () => {
    expect(() => expect({}).toHaveHandled('orders')).toThrow(TestingError);
    expect(() => expect(undefined).toHaveHandled('orders')).toThrow('Only a TestPgListener or a LivePgListener');
    expect(() => expect(new TestPgListener()).toHaveHandled('orders.*')).toThrow(TablePatternError);
  });

  it('have a journal to wait by, which says what came instead', async () => {
    const listener = await modules.boot([Orders]);
    const soon = listener.journal.until('handled', 'orders', { times: 2 });
    await listener.emit(insert('orders', { id: 1, status: 'new' }));
    await listener.emit(insert('orders', { id: 2, status: 'new' }));
    expect((await soon).map(({ subject }) => (subject as InsertChange<Order>).record.id)).toEqual([1, 2]);
    expect(await listener.journal.until('handled')).toHaveLength(2);
    const late = listener.journal.until('parked', 'orders', { record: { id: 1 }, timeoutMs: 20 });
    await expect(late).rejects.toThrow(TestingError);
    await expect(late).rejects.toThrow(
      /^Waited 20 ms in vain for 1 × parked: public\.orders with record \{ id: 1 \}\nWhat the handlers were called with \(2\):/,
    );
  });
});
