import { waitFor } from '../wait.js';
import type { FailureFamily } from './entry.js';

/** The replication slot is not there, not ours, or not what it was. */
export const SLOT_FAILURES: FailureFamily = {
  title: 'The replication slot',
  entries: [
    {
      title: 'No slot is free',
      about:
        'Slots of retired services hold write-ahead log until the disk is full: look which of them are not `active`, and ' +
        'drop those that nobody will come back for.',
      provoke: async (site) => {
        for (let slot = 1; slot <= 3; slot++) {
          await site.inShop(`SELECT pg_create_physical_replication_slot('retired_${slot}')`);
        }
        return site.refusal();
      },
    },
    {
      title: 'The server has no slots at all',
      about: 'Some services are set up with `max_replication_slots = 0`.',
      provoke: async (site) => {
        const server = await site.otherServer({ wal_level: 'logical', max_replication_slots: '0' });
        return site.refusal({ connection: server.url }, []);
      },
    },
    {
      title: 'The slot belongs to another plugin',
      about: 'A tool such as wal2json or test_decoding uses it. Never drop a slot that somebody streams from.',
      isMendedBySql: true,
      provoke: async (site) => {
        await site.inShop(`SELECT pg_create_logical_replication_slot('shop', 'test_decoding')`);
        return site.refusal();
      },
    },
    {
      title: 'The slot is a physical one',
      about: 'A replica or a backup tool uses it.',
      isMendedBySql: true,
      provoke: async (site) => {
        await site.inShop(`SELECT pg_create_physical_replication_slot('shop')`);
        return site.refusal();
      },
    },
    {
      title: 'The slot belongs to another database',
      about: '',
      isMendedBySql: true,
      provoke: async (site) => {
        await site.admin('CREATE DATABASE shop_archive');
        await site.inDatabase('shop_archive', `SELECT pg_create_logical_replication_slot('shop', 'pgoutput')`);
        return site.refusal();
      },
    },
    {
      title: 'The slot has two-phase decoding on',
      about:
        'Whoever made it asked for prepared transactions to be sent when they are prepared; this app takes commits.',
      isMendedBySql: true,
      provoke: async (site) => {
        await site.inShop(`SELECT pg_create_logical_replication_slot('shop', 'pgoutput', false, true)`);
        return site.refusal();
      },
    },
    {
      title: '`twoPhase` is set, and the slot was made without it',
      about:
        'PostgreSQL would turn the slot into one of the other kind for good, so it is not done in passing. Without the option ' +
        'nothing is missed: [what is prepared](streaming.md#twophase) comes when it is committed.',
      missing: process.env['PG_LISTENER_TEST_VERSION']?.startsWith('14.')
        ? 'PostgreSQL 14 refuses `twoPhase` before it looks at the slot'
        : undefined,
      isMendedBySql: true,
      provoke: async (site) => {
        await site.inShop(`SELECT pg_create_logical_replication_slot('shop', 'pgoutput')`);
        return site.refusal({ twoPhase: true });
      },
    },
    {
      title: 'Another process streams from the slot',
      about:
        'Not a failure: this process stands by and takes over when the other one is gone. `listener.status` says `standby`, ' +
        'and `health()` is up. Two different services must not share a slot: they would take each other’s changes.',
      provoke: async (site) => {
        await site.streaming();
        return site.line(await site.boot(), 'Standing by');
      },
    },
    {
      title: 'An older transaction blocks the new slot',
      about:
        'A slot can begin only where no transaction is open that began before it. After five seconds the attempt is given ' +
        'up, and made again; the transactions in the way are named, prepared ones too.',
      provoke: async (site) => {
        const client = await site.hold({ connectionString: site.url(), application_name: 'report' });
        await client.query('BEGIN');
        await client.query(`INSERT INTO orders VALUES (1)`);
        await client.query(`PREPARE TRANSACTION 'transfer-17'`);
        await client.query('BEGIN');
        await client.query('INSERT INTO orders VALUES (2)');
        const app = await site.boot();
        const reading = await site.line(app, 'cannot be made');
        await client.query('COMMIT');
        await site.inShop(`ROLLBACK PREPARED 'transfer-17'`);
        await waitFor(
          () => app.listener.status.state === 'streaming',
          'the stream, when nothing is in the way any more',
        );
        return reading;
      },
    },
    {
      title: 'The slot was invalidated',
      about:
        'The server has thrown away log that the slot still needed, because `max_slot_wal_keep_size` (or from 18 on ' +
        '`idle_replication_slot_timeout`) says so. What was committed in between does not come any more; that is yours to ' +
        'know, so nothing is resumed in silence.',
      isMendedBySql: true,
      provoke: async (site) => {
        await site.streamedBefore();
        await site.admin(`ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'`);
        site.later(async () => {
          await site.admin('ALTER SYSTEM RESET max_slot_wal_keep_size');
          await site.admin('SELECT pg_reload_conf()');
        });
        await site.admin('SELECT pg_reload_conf()');
        for (let segment = 0; segment < 3; segment++) {
          await site.inShop('INSERT INTO orders VALUES (0); DELETE FROM orders; SELECT pg_switch_wal()');
        }
        await site.admin('CHECKPOINT');
        return site.refusal();
      },
    },
    {
      title: 'The slot is gone',
      about:
        'Somebody dropped it. The position that was recorded tells, while the application runs and also after a restart. A new ' +
        'slot would begin at the present, and what lies between would be missed; so nothing is resumed in silence.',
      isMendedBySql: true,
      provoke: async (site) => {
        await site.streamedBefore();
        await site.admin(`SELECT pg_drop_replication_slot('shop')`);
        return site.refusal();
      },
    },
    {
      title: 'The slot stands beyond the recorded position',
      about:
        'A slot that was dropped and made again under its name bears no other mark. The position is recorded before it is ' +
        'confirmed, in `nestjs_pg_listener.slots`, so that no process of the service can have moved it there.',
      isMendedBySql: true,
      provoke: async (site) => {
        await site.streamedBefore();
        await site.inShop(`INSERT INTO orders VALUES (1)`);
        await site.inShop(`SELECT pg_replication_slot_advance('shop', pg_current_wal_lsn())`);
        return site.refusal();
      },
    },
    {
      title: 'The slot belongs to another service',
      about:
        'The first service that streams from a slot owns it: the option `service`, or the `name` of the package.json, and the ' +
        'name of the app. Two services on one slot would take each other’s changes.',
      isMendedBySql: true,
      provoke: async (site) => {
        await site.streamedBefore({ service: 'shop' });
        return site.refusal({ service: 'billing' });
      },
    },
    {
      title: 'Another cluster answers',
      about:
        'The system identifier is not that of the last stream: the address leads elsewhere, or the database was restored from ' +
        'a dump, which brings the record along and not the slot.',
      isMendedBySql: true,
      provoke: async (site) => {
        await site.streamedBefore();
        await site.inShop(`UPDATE nestjs_pg_listener.slots SET system_identifier = '7000000000000000001'`);
        return site.refusal();
      },
    },
    {
      title: 'The slot is new although the service is not',
      about:
        'There is no record of a position, but the publication tells that this service has streamed before. Where the slot was ' +
        'dropped on purpose, this warning is all there is to it.',
      provoke: async (site) => {
        await site.streamedBefore();
        await site.admin(`SELECT pg_drop_replication_slot('shop')`);
        await site.inShop('DELETE FROM nestjs_pg_listener.slots');
        return site.line(await site.streaming(), 'Created slot');
      },
    },
    {
      title: 'Positions cannot be recorded',
      about:
        'The role may not make the schema `nestjs_pg_listener`. Everything else works; the statements in the text, run by ' +
        'somebody who may, mend it at the next connection.',
      provoke: async (site) => {
        await site.inShop('CREATE PUBLICATION shop_changes FOR TABLE orders');
        const app = await site.streaming({ connection: site.url('reader'), publications: ['shop_changes'] });
        return site.line(app, 'cannot be recorded');
      },
    },
  ],
};
