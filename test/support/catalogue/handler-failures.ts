import { Injectable, Scope } from '@nestjs/common';
import { OnTableChange, OnTransaction } from 'nestjs-pg-listener';
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
        @Injectable({ scope: Scope.REQUEST })
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
      title: 'A transaction is too large for @OnTransaction',
      about: '',
      provoke: async (site) => {
        @Injectable()
        class Commits {
          @OnTransaction()
          onCommit(): void {}
        }
        const app = await site.streaming({ limits: { changes: 100 }, subscriptions: ['orders'] }, [Commits]);
        await site.inShop('INSERT INTO orders SELECT id FROM generate_series(1, 101) AS id');
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
