import 'reflect-metadata';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { afterEach, describe, expect, it } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import {
  HandlerHaltError,
  OnTableChange,
  OnTransaction,
  PG_LISTENER_CHANNELS,
  SkipChange,
  type FailureMessage,
  type InsertChange,
  type PgListenerStatus,
  type Transaction,
  type TransactionalContext,
} from 'nestjs-pg-listener';
import {
  InjectedFaultError,
  insert,
  message,
  pgListenerMatchers,
  remove,
  TestingError,
  TestPgListener,
  update,
} from 'nestjs-pg-listener/testing';
import { settlesSoon, turns, until } from '../waiting.js';
import { TestingModules } from './boot.js';

expect.extend(pgListenerMatchers);

interface Order {
  id: number;
}

@Injectable()
class Orders {
  readonly seen: string[] = [];
  @OnTableChange<Order>('orders', 'insert', { retry: { attempts: 3 }, onExhausted: 'park' })
  onCreated({ record }: InsertChange<Order>, { attempt }: { attempt: number }): void {
    this.seen.push(`${record.id}:${attempt}`);
  }
  @OnTableChange('invoices', ['insert', 'update', 'delete'], { onExhausted: 'halt', retry: { attempts: 1 } })
  onInvoice(): void {}
}

describe('the fault switches of the testing kit', () => {
  const modules = new TestingModules();
  afterEach(() => modules.close());

  it('fail the tries of a handler that the test names, and no others', async () => {
    const listener = await modules.boot([Orders]);
    const failure = new Error('the mail server is down');
    const fault = listener.faults.fail({ handler: 'Orders.onCreated', attempt: [1, 2] }, failure);
    expect(await listener.emit(insert('orders', { id: 1 }))).toEqual(['Orders.onCreated']);
    expect(fault.struck).toBe(2);
    expect(listener).toHaveRetried('orders', { error: 'the mail server', times: 2 });
    expect(listener).toHaveHandled('orders', { attempt: 3 });
    await listener.emit(insert('invoices', { id: 1 }));
    expect(fault.struck).toBe(2);
    fault.off();
    await listener.emit(insert('orders', { id: 2 }));
    expect(listener).toHaveHandled('orders', { record: { id: 2 }, attempt: 1 });
  });

  it('show each policy: what is parked, skipped, halts', async () => {
    const listener = await modules.boot([Orders]);
    listener.faults.fail({ table: 'orders', where: (change) => (change as InsertChange<Order>).record.id === 1 });
    listener.faults.fail({ table: 'invoices', operation: 'delete' }, () => new SkipChange());
    await listener.emit(insert('orders', { id: 1 }));
    expect(listener).toHaveParked('orders', { record: { id: 1 }, error: 'fault switch' });
    expect(listener.journal.find('parked')[0]!.error).toBeInstanceOf(InjectedFaultError);
    await listener.emit(remove('invoices', { id: 1 }));
    expect(listener).toHaveSkipped('invoices');
    await listener.emit(update('invoices', { id: 1 }));
    expect(listener).toHaveHandled('invoices', { operation: 'update' });
    listener.faults.clear();
    listener.faults.fail({ table: 'invoices' });
    await expect(listener.emit(insert('invoices', { id: 2 }))).rejects.toThrow(HandlerHaltError);
    listener.faults.clear();
    expect(await listener.parked.retry()).toMatchObject({ handled: 1 });
    expect(listener).toHaveHandled('orders', { record: { id: 1 } });
  });

  it('strike what is parked and tried again: it stays parked, or its handler says what else', async () => {
    const listener = await modules.boot([Orders]);
    const failures: FailureMessage[] = [];
    const listen = (message: unknown): void => void failures.push(message as FailureMessage);
    const outage = listener.faults.fail({ table: 'orders' }, new Error('still down'));
    await listener.emit(insert('orders', { id: 1 }));
    const failed = listener.stats().failures;
    listener.journal.clear();
    subscribe(PG_LISTENER_CHANNELS.failure, listen);
    try {
      expect(await listener.parked.retry()).toMatchObject({ handled: 0, failed: 1 });
      expect(listener).toHaveParked('orders', { attempt: 1, error: 'still down', times: 1 });
      expect(await listener.parked.count()).toBe(1);
      expect(listener.stats().failures).toBe(failed + 1);
      outage.off();
      listener.faults.fail({ table: 'orders' }, () => new SkipChange());
      expect(await listener.parked.retry()).toMatchObject({ failed: 0 });
      expect(listener).toHaveSkipped('orders', { times: 1 });
      expect(listener.journal.find('failed')).toEqual([]);
      const { handled, skipped, parkings } = listener
        .stats()
        .handlers.find(({ handler }) => handler === 'Orders.onCreated')!;
      expect({ handled, skipped, parkings }).toEqual({ handled: 0, skipped: 1, parkings: 1 });
    } finally {
      unsubscribe(PG_LISTENER_CHANNELS.failure, listen);
    }
    expect(failures.map(({ action, attempt, isBlocking }) => [action, attempt, isBlocking])).toEqual([
      ['park', 1, false],
      ['skip', 1, false],
    ]);
  });

  it('strike one after the other, where several would: none is used up unseen', async () => {
    const listener = await modules.boot([Orders]);
    const first = listener.faults.fail({ table: 'orders', times: 1 }, new Error('first'));
    const second = listener.faults.fail({ table: 'orders', times: 1 }, new Error('second'));
    await listener.emit(insert('orders', { id: 1 }));
    expect([first.struck, second.struck]).toEqual([1, 1]);
    expect(listener).toHaveRetried('orders', { attempt: 1, error: 'first' });
    expect(listener).toHaveRetried('orders', { attempt: 2, error: 'second' });
    expect(listener).toHaveHandled('orders', { attempt: 3 });
  });

  it('strike as often as they are told', async () => {
    const listener = await modules.boot([Orders]);
    const fault = listener.faults.fail({ times: 1 });
    await listener.emit(insert('orders', { id: 1 }), insert('orders', { id: 2 }));
    expect(fault.struck).toBe(1);
    expect(listener).toHaveRetried({ times: 1 });
  });

  it('delay a call, and fail it then', async () => {
    const listener = await modules.boot([Orders]);
    listener.faults.delay({ table: 'orders', attempt: 1 }, 60);
    listener.faults.fail({ table: 'orders', attempt: 1 }, new Error('late, and in vain'));
    const begun = performance.now();
    const emitted = listener.emit(insert('orders', { id: 1 }));
    expect(listener.journal.find('running', 'orders')).toHaveLength(1);
    await emitted;
    expect(performance.now() - begun).toBeGreaterThanOrEqual(55);
    expect(listener).toHaveRetried('orders', { error: 'late, and in vain' });
    expect(listener).toHaveHandled('orders');
  });

  it('let go of a delayed call when the listener stops for good', async () => {
    const listener = await modules.boot([Orders], { shutdownTimeoutMs: 10 });
    listener.faults.delay({}, 60_000);
    const stuck = expect(listener.emit(insert('orders', { id: 1 }))).rejects.toThrow('was stopped');
    await listener.stop();
    await stuck;
    await turns();
    expect(listener.journal.find('running')).toEqual([]);
  });

  it('refuse a handler that there is not: it would never strike', async () => {
    const early = new TestPgListener();
    early.faults.fail({ handler: 'Orders.onCrated' });
    await expect(modules.boot([Orders], {}, early)).rejects.toThrow(TestingError);
    const listener = await modules.boot([Orders]);
    expect(() => listener.faults.fail({ handler: 'Orders.onCrated' })).toThrow(
      /no handler "Orders\.onCrated"\n.*there is Orders\.onCreated, Orders\.onInvoice/,
    );
    expect(() => listener.faults.delay({ table: 'orders.*' }, 1)).toThrow('orders.*');
    expect(() => new TestPgListener().faults.dropConnection()).toThrow(TestingError);
  });

  it('drop the connection: what runs runs on, what waits comes again, and nothing comes twice', async () => {
    const running: (() => void)[] = [];
    @Injectable()
    class Slow {
      readonly ids: unknown[] = [];
      readonly commits: number[] = [];
      @OnTableChange<Order>('orders', 'insert')
      async onCreated({ record }: InsertChange<Order>): Promise<void> {
        this.ids.push(record.id);
        if (record.id === 2) await new Promise<void>((done) => running.push(done));
      }
      @OnTransaction()
      onCommit({ size }: Transaction): void {
        this.commits.push(size);
      }
    }
    const listener = await modules.boot([Slow]);
    const states: PgListenerStatus[] = [];
    listener.status$.subscribe((status) => states.push(status));
    const emitted = listener.emit([1, 2, 3, 4].map((id) => insert('orders', { id })));
    await until(() => running.length === 1);
    listener.faults.dropConnection();
    const behind = listener.emit(insert('orders', { id: 5 }));
    await until(() => listener.stats().reconnects === 1);
    expect(await settlesSoon(emitted)).toBe(false);
    running[0]!();
    expect(await emitted).toEqual([
      'Slow.onCreated',
      'Slow.onCreated',
      'Slow.onCreated',
      'Slow.onCreated',
      'Slow.onCommit',
    ]);
    await behind;
    const handled = listener.journal
      .find('handled', 'orders')
      .map(({ subject }) => (subject as InsertChange<Order>).record.id);
    expect(handled).toEqual([1, 2, 3, 4, 5]);
    expect(listener.stats().handlers.map(({ handled: count, inFlight }) => [count, inFlight])).toEqual([
      [5, 0],
      [2, 0],
    ]);
    expect(listener.journal.find('handled').filter(({ handler }) => handler === 'Slow.onCommit')).toHaveLength(2);
    expect(states.map(({ state }) => state)).toEqual(['streaming', 'backing-off', 'connecting', 'streaming']);
    expect(states[1]!.error?.message).toContain('the test has dropped it');
    expect(listener.status.state).toBe('streaming');
  });

  it('drop the connection when a call begins, once', async () => {
    @Injectable()
    class Steps {
      @OnTableChange<Order>('orders', 'insert', { concurrency: 2 })
      async onCreated(): Promise<void> {
        await turns(2);
      }
      @OnTableChange('orders', 'insert', { transactional: true })
      async onEffect(_: InsertChange<Order>, { client }: TransactionalContext): Promise<void> {
        await client.query('SELECT 1');
      }
    }
    const listener = await modules.boot([Steps]);
    listener.useClient({ query: () => turns(1) } as never);
    const fault = listener.faults.dropConnection({ table: 'orders', where: ({ index }) => index === 1 });
    await listener.emit(
      [1, 2, 3].map((id) => insert('orders', { id })),
      message('nobody', 'listens'),
    );
    await until(() => listener.stats().reconnects === 1);
    await listener.emit([4, 5].map((id) => insert('orders', { id })));
    expect(fault.struck).toBe(1);
    expect(listener.stats().reconnects).toBe(1);
    expect(listener).toHaveHandled('orders', { handler: 'Steps.onCreated', times: 5 });
    expect(listener).toHaveHandled('orders', { handler: 'Steps.onEffect', times: 5 });
    // Lanes, transactional calls: each counts once.
    expect(listener.stats().handlers.map(({ handled, inFlight }) => [handled, inFlight])).toEqual([
      [5, 0],
      [5, 0],
    ]);
  });

  it('drop the connection where nothing is in hand, and right before the end', async () => {
    const listener = await modules.boot([Orders]);
    listener.faults.dropConnection();
    await listener.emit(insert('orders', { id: 1 }));
    expect(listener.stats().reconnects).toBe(1);
    listener.faults.dropConnection();
    // It would break nothing, and the test would show nothing.
    expect(() => listener.faults.dropConnection()).toThrow('no connection to drop');
    await listener.stop();
    expect(listener.status.state).toBe('stopped');
    expect(() => listener.faults.dropConnection()).toThrow(TestingError);
    expect(listener).toHaveHandled('orders', { times: 1 });
  });
});
