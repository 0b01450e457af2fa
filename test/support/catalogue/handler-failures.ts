import { Injectable, Scope, UseGuards, type CanActivate } from '@nestjs/common';
import { OnTableChange } from 'nestjs-pg-listener';
import { z } from 'zod';
import { waitFor } from '../wait.js';
import type { FailureFamily } from './entry.js';

/** What the application itself does wrong. */
export const HANDLER_FAILURES: FailureFamily = {
  title: 'Handlers',
  entries: [
    {
      title: 'Handlers are declared wrongly',
      about: 'All mistakes of the application are told at once, before anything is opened.',
      provoke: (site) => {
        @Injectable({ scope: Scope.TRANSIENT })
        class OrdersHandler {
          @OnTableChange('orders', 'insert', { id: 'orders' })
          onCreated(): void {}
          @OnTableChange('orders', 'delete', { id: 'orders' })
          onDeleted(): void {}
          @OnTableChange('invoices', 'insert', { app: 'billing' })
          onInvoice(): void {}
        }
        return site.refusal({ handlers: { 'OrdersHandler.onCreate': { enabled: false } } }, [OrdersHandler]);
      },
    },
    {
      title: 'A handler names a class that is no entity',
      about:
        'A class or a Drizzle table stands for its table only as far as its ORM tells it: see [typed tables](typed-tables.md). Often ' +
        'the decorator of the class is missing, or `TypeOrmModule` is not imported.',
      provoke: (site) => {
        class Order {}
        @Injectable()
        class OrdersHandler {
          @OnTableChange(Order, 'insert')
          onCreated(): void {}
        }
        return site.refusal({}, [OrdersHandler]);
      },
    },
    {
      title: 'A guard refuses a change',
      about:
        'It has failed then, and the policy of its handler decides. Global guards stand before handlers only with ' +
        '`globalEnhancers: true`: see [handlers](handlers.md#guards-pipes-interceptors-filters).',
      provoke: async (site) => {
        class LoggedIn implements CanActivate {
          canActivate(): boolean {
            return false;
          }
        }
        @Injectable()
        @UseGuards(new LoggedIn())
        class OrdersHandler {
          @OnTableChange('orders', 'insert', { onExhausted: 'skip', retry: { attempts: 1 } })
          onCreated(): void {}
        }
        const app = await site.streaming({}, [OrdersHandler]);
        await site.inShop('INSERT INTO orders VALUES (1)');
        return site.line(app, 'refuses it');
      },
    },
    {
      title: 'A row does not fit the schema of its handler',
      about:
        "Another try would not mend it, so that `onExhausted` decides at once; under `'block'` it is tried on. See " +
        '[handlers](handlers.md#a-schema-for-the-row).',
      provoke: async (site) => {
        @Injectable()
        class OrdersHandler {
          @OnTableChange('orders', 'insert', { schema: z.object({ id: z.string() }), onExhausted: 'skip' })
          onCreated(): void {}
        }
        const app = await site.streaming({}, [OrdersHandler]);
        await site.inShop('INSERT INTO orders VALUES (1)');
        return site.line(app, 'does not fit');
      },
    },
    {
      title: 'A handler keeps failing',
      about:
        'The position holds, so nothing is lost and nothing passes the change; `health()` is down and names the handler. ' +
        'Mend the handler and deploy: the change comes first. To pass it on purpose, let the handler return for this ' +
        '`change.id`.',
      provoke: async (site) => {
        @Injectable()
        class OrdersHandler {
          @OnTableChange('orders', 'insert')
          onCreated(): void {
            throw new Error('the mail server is down');
          }
        }
        const app = await site.streaming({ retry: { attempts: 2, minDelayMs: 1 } }, [OrdersHandler]);
        await site.inShop('INSERT INTO orders VALUES (1)');
        return site.line(app, 'the position holds');
      },
    },
    {
      title: 'A change is parked',
      about:
        "Under `onExhausted: 'park'`, or where a handler throws `ParkChange`. Look at it with `listener.parked.list()`, and " +
        'hand it to its handler again with `listener.parked.retry()`.',
      provoke: async (site) => {
        @Injectable()
        class OrdersHandler {
          @OnTableChange('orders', 'insert', { onExhausted: 'park', retry: { attempts: 1 } })
          onCreated(): void {
            throw new Error('no such customer');
          }
        }
        const app = await site.streaming({}, [OrdersHandler]);
        await site.inShop('INSERT INTO orders VALUES (1)');
        return site.line(app, 'it is parked');
      },
    },
    {
      title: 'There is no table to park in',
      about:
        "A handler has the policy `'park'`, and the role may not make the schema `nestjs_pg_listener`. Have the statements run " +
        'by somebody who may.',
      provoke: async (site) => {
        @Injectable()
        class OrdersHandler {
          @OnTableChange('orders', 'insert', { onExhausted: 'park' })
          onCreated(): void {}
        }
        await site.inShop('CREATE PUBLICATION shop_changes FOR TABLE orders');
        const options = { connection: site.url('reader'), publications: ['shop_changes'] };
        return site.refusal(options, [OrdersHandler]);
      },
    },
    {
      title: 'A handler halts the app',
      about:
        "By `onExhausted: 'halt'`, or because it has thrown `HaltApp`. `health()` is down; `listener.start()` or a restart " +
        'gives it the change again.',
      provoke: async (site) => {
        @Injectable()
        class OrdersHandler {
          @OnTableChange('orders', 'insert', { onExhausted: 'halt', retry: { attempts: 1 } })
          onCreated(): void {
            throw new Error('the ledger does not balance');
          }
        }
        const app = await site.streaming({}, [OrdersHandler]);
        await site.inShop('INSERT INTO orders VALUES (1)');
        await waitFor(() => app.listener.status.state === 'halted', 'the halt');
        return site.line(app, 'Halted');
      },
    },
    {
      title: 'Handlers do not finish before the application closes',
      about:
        'Raise `shutdownTimeoutMs`, or heed `context.signal`, which is aborted at this moment. What was in hand comes again.',
      provoke: async (site) => {
        let isRunning = false;
        @Injectable()
        class OrdersHandler {
          @OnTableChange('orders', 'insert')
          onCreated(): Promise<void> {
            isRunning = true;
            return new Promise(() => undefined);
          }
        }
        const app = await site.streaming({ shutdownTimeoutMs: 100 }, [OrdersHandler]);
        await site.inShop('INSERT INTO orders VALUES (1)');
        await waitFor(() => isRunning, 'the handler');
        await app.close();
        return site.line(app, 'have not finished');
      },
    },
  ],
};
