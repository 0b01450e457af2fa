import { Injectable, type Type } from '@nestjs/common';
import { OnTableChange } from 'nestjs-pg-listener';
import { waitFor } from '../wait.js';
import type { FailureFamily } from './entry.js';

function handlers(): Type {
  @Injectable()
  class OrdersHandler {
    @OnTableChange('orders', 'insert')
    onCreated(): void {}
    @OnTableChange('orders', 'update')
    onUpdated(): void {}
  }
  return OrdersHandler;
}

/** What the publications carry is not what the handlers ask for. */
export const PUBLICATION_FAILURES: FailureFamily = {
  title: 'Tables and publications',
  entries: [
    {
      title: 'The table does not exist',
      about:
        'Names are compared as they stand in the catalogue, upper and lower case apart. Run migrations before the boot.',
      provoke: (site) => {
        @Injectable()
        class OrdersHandler {
          @OnTableChange('Orders', 'insert')
          onCreated(): void {}
          @OnTableChange('order_items', 'insert')
          onItem(): void {}
        }
        return site.refusal({}, [OrdersHandler]);
      },
    },
    {
      title: 'The table has no primary key',
      about:
        'Without a replica identity the server cannot say which row was updated or deleted; and once the table were ' +
        'published for updates, your own UPDATE would fail. `REPLICA IDENTITY FULL` writes the whole old row into the log ' +
        'with each update: `oldRecord` is complete then.',
      isMendedBySql: true,
      provoke: async (site) => {
        await site.inShop('ALTER TABLE orders DROP CONSTRAINT orders_pkey');
        return site.refusal({}, [handlers()]);
      },
    },
    {
      title: 'A pattern takes tables without a primary key in',
      about: 'Such tables go into a second publication, for inserts and truncates, so that your own UPDATE works on.',
      provoke: async (site) => {
        await site.inShop('CREATE TABLE audit_log (entry text); ALTER TABLE audit_log OWNER TO app');
        @Injectable()
        class Audit {
          @OnTableChange('*')
          onChange(): void {}
        }
        return site.line(await site.streaming({}, [Audit]), 'without a primary key');
      },
    },
    {
      title: 'The publication does not exist',
      about: '',
      isMendedBySql: true,
      provoke: (site) => site.refusal({ publications: ['shop_changes'] }, [handlers()]),
    },
    {
      title: 'The publication does not carry the table',
      about: 'A handler would wait for ever, so the boot fails. Where a pattern finds nothing, it is a warning.',
      isMendedBySql: true,
      provoke: async (site) => {
        await site.inShop('CREATE PUBLICATION shop_changes');
        return site.refusal({ publications: ['shop_changes'] }, [handlers()]);
      },
    },
    {
      title: 'The publication does not publish the operation',
      about: '',
      isMendedBySql: true,
      provoke: async (site) => {
        await site.inShop(`CREATE PUBLICATION shop_changes FOR TABLE orders WITH (publish = 'insert')`);
        return site.refusal({ publications: ['shop_changes'] }, [handlers()]);
      },
    },
    {
      title: 'The publication was dropped while the application ran',
      about:
        'What was committed meanwhile was not sent. PostgreSQL 18 says so in a warning and goes on; nothing is confirmed from ' +
        'there, so that the slot still holds what can be repaired.',
      provoke: async (site) => {
        const app = await site.streaming();
        await site.inShop('DROP PUBLICATION pg_listener_shop');
        await site.inShop('INSERT INTO orders VALUES (1)');
        await waitFor(() => app.listener.status.state === 'halted', 'the halt');
        return site.line(app, 'Halted');
      },
    },
  ],
};
