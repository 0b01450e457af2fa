import { recorderOf } from '../application.js';
import type { FailureFamily } from './entry.js';

/** The server answers, but is not set up. */
export const SERVER_FAILURES: FailureFamily = {
  title: 'The server and the role',
  entries: [
    {
      title: 'wal_level is not logical',
      about:
        'The default of PostgreSQL is `replica`. On managed services it is a parameter of the instance: ' +
        '`rds.logical_replication = 1` (Amazon RDS, Aurora), `cloudsql.logical_decoding = on` (Google Cloud SQL), ' +
        '`wal_level = logical` (Azure). It needs a restart everywhere.',
      provoke: async (site) => {
        const server = await site.otherServer({ wal_level: 'replica' });
        return site.refusal({ connection: server.url });
      },
    },
    {
      title: 'The role lacks REPLICATION',
      about: 'Only a superuser can grant it. Streaming needs it, whatever rights on tables there are.',
      isMendedBySql: true,
      provoke: async (site) => {
        await site.admin('GRANT app TO plain');
        site.later(() => site.admin('REVOKE app FROM plain'));
        return site.refusal({ connection: site.url('plain') });
      },
    },
    {
      title: 'The role may not make a publication',
      about:
        'Only the owner of a table can publish it. Either the role owns the tables (or is a member of the owning role), or the ' +
        'owner makes the publication, and `publications` names it; the listener then needs no right on any table, nor on the database.',
      isMendedBySql: true,
      provoke: (site) => site.refusal({ connection: site.url('reader') }),
    },
    {
      title: 'The role does not own a table that a new handler names',
      about: '',
      isMendedBySql: true,
      provoke: async (site) => {
        await (await site.streaming()).close();
        await site.inShop('CREATE TABLE invoices (id int PRIMARY KEY)');
        return site.refusal({}, [recorderOf(['orders', 'invoices'])]);
      },
    },
    {
      title: 'Transactions are read-only',
      about: 'A standby answers in the same way; there the hint says to make the publication on the primary.',
      isMendedBySql: true,
      provoke: async (site) => {
        await site.admin('ALTER ROLE app SET default_transaction_read_only = on');
        site.later(() => site.admin('ALTER ROLE app RESET default_transaction_read_only'));
        return site.refusal();
      },
    },
    {
      title: 'The role may not connect to the database',
      about: '',
      provoke: async (site) => {
        await site.admin('REVOKE CONNECT ON DATABASE shop FROM PUBLIC');
        return site.refusal({ connection: site.url('reader') });
      },
    },
    {
      title: 'synchronous_standby_names matches',
      about:
        'The server would take the listener for a synchronous standby, and every COMMIT would wait until handlers have ' +
        'run. So it is refused before a stream is opened.',
      provoke: async (site) => {
        const set = async (value: string): Promise<void> => {
          await site.admin(`ALTER SYSTEM SET synchronous_standby_names = '${value}'`);
          await site.admin('SELECT pg_reload_conf()');
        };
        site.later(() => set(''));
        await set('*');
        return site.refusal();
      },
    },
  ],
};
