import { randomBytes } from 'node:crypto';
import { escapeIdentifier, type Client, type QueryConfig } from 'pg';
import { asError } from '../errors/as-error.js';
import { ServerBusyError, ServerSetupError, SlotError, SlotInUseError } from '../errors/replication.error.js';
import { sqlState } from '../errors/sql-state.js';
import { formatLsn, parseLsn, type Lsn } from '../protocol/lsn.js';
import { describeTarget, type ConnectionTarget } from '../connection/connection-target.js';
import { translateServerError } from '../connection/server-errors.js';

/** A transaction that was open before us must end before a slot can be made; longer than this we do not wait. */
const LOCK_TIMEOUT_MS = 5_000;
/** It may wait for several of them, one after the other. */
const CREATE_TIMEOUT_MS = 60_000;
/** The server reads all of the log in between. */
const ADVANCE_TIMEOUT_MS = 600_000;

export interface SlotState {
  readonly confirmedLsn: Lsn;
}

export interface FoundSlot extends SlotState {
  /** Who streams from it just now; null: nobody. */
  readonly holder: string | null;
  /** Why the server has given it up: it cannot be read any more; null: it can. */
  readonly invalidated: string | null;
  /** Whether it is synchronised to standbys; null: this server knows no such thing. */
  readonly failover: boolean | null;
}

interface SlotRow {
  plugin: string | null;
  database: string | null;
  current_database: string;
  /** Null: nobody. */
  holder: string | null;
  wal_status: string | null;
  confirmed: string | null;
  two_phase: boolean;
  failover: boolean | null;
  reason: string | null;
}

/** Finds, checks and makes the replication slot of an app. Never drops one. */
export class SlotManager {
  private currentName: string;

  /** @param fixedName null: a temporary slot, which ends with its connection */
  constructor(
    private readonly target: ConnectionTarget,
    private readonly fixedName: string | null,
    /** Whether it is to send transactions when they are prepared. */
    private readonly twoPhase = false,
  ) {
    this.currentName = fixedName ?? '';
    this.renew();
  }

  get name(): string {
    return this.currentName;
  }

  get isTemporary(): boolean {
    return this.fixedName === null;
  }

  /** A temporary slot of a connection that is just dying is still there: each connection needs a name of its own. */
  renew(): void {
    if (this.isTemporary) this.currentName = `pg_listener_temporary_${process.pid}_${randomBytes(4).toString('hex')}`;
  }

  /**
   * The slot as the catalogue has it; null where there is none.
   *
   * @throws SlotError where it is not one of ours
   */
  async inspect(client: Client): Promise<FoundSlot | null> {
    const slot = this.isTemporary ? null : await this.read(client);
    if (slot === null) return null;
    // Another process is making it just now: the server shows such a slot before it knows its plugin.
    const isInTheMaking = slot.plugin === '' && slot.holder !== null;
    if (!isInTheMaking) this.check(slot);
    return {
      confirmedLsn: slot.confirmed === null ? 0n : parseLsn(slot.confirmed),
      holder: slot.holder,
      // The reason is told from 17 on.
      invalidated: slot.wal_status === 'lost' ? (slot.reason ?? 'wal_removed') : null,
      failover: slot.failover,
    };
  }

  /** Not an error to give up on: the caller stands by. */
  inUse(holder: string): SlotInUseError {
    return new SlotInUseError(`The slot "${this.name}" is held by ${holder}`, { app: this.target.app });
  }

  /** Who streams from the slot just now: null where nobody does. */
  async holder(client: Client): Promise<string | null> {
    return (await this.read(client))?.holder ?? null;
  }

  /**
   * Moves the slot to the present end of the log, past what cannot be read. `before` is told where, before it is done.
   *
   * @throws SlotInUseError where somebody streams from it
   */
  async skipToEnd(plain: Client, before: (target: Lsn) => Promise<void>): Promise<SlotState> {
    const { rows } = await plain.query<{ lsn: string }>('SELECT pg_current_wal_lsn()::text AS lsn');
    const target = parseLsn(rows[0]!.lsn);
    await before(target);
    try {
      await plain.query({
        text: 'SELECT pg_replication_slot_advance($1, $2::pg_lsn)',
        values: [this.name, formatLsn(target)],
        query_timeout: ADVANCE_TIMEOUT_MS,
      } as QueryConfig);
    } catch (error) {
      if (sqlState(error) === '55006') throw this.inUse('another process');
      throw error;
    }
    return { confirmedLsn: target };
  }

  /** Makes the slot, on the replication connection. It stands where its stream will begin. */
  async create(replication: Client, plain: Client, version: number, failover = false): Promise<SlotState> {
    const kind = this.isTemporary ? ' TEMPORARY' : '';
    const more = `${this.twoPhase ? ', TWO_PHASE true' : ''}${failover ? ', FAILOVER true' : ''}`;
    const options = version >= 150_000 ? `(SNAPSHOT 'nothing'${more})` : 'NOEXPORT_SNAPSHOT';
    try {
      await replication.query(`SET lock_timeout = ${LOCK_TIMEOUT_MS}`);
      const { rows } = await replication.query<{ consistent_point: string }>({
        text: `CREATE_REPLICATION_SLOT ${escapeIdentifier(this.name)}${kind} LOGICAL pgoutput ${options}`,
        query_timeout: CREATE_TIMEOUT_MS,
      } as QueryConfig);
      return { confirmedLsn: parseLsn(rows[0]!.consistent_point) };
    } catch (error) {
      throw await this.explainCreation(error, plain);
    }
  }

  private async explainCreation(error: unknown, plain: Client): Promise<Error> {
    const { app } = this.target;
    const where = describeTarget(this.target);
    const code = sqlState(error);
    if (code === '55P03') {
      return new ServerBusyError(
        `The slot "${this.name}" cannot be made on ${where} while older transactions are open: ${await this.blockers(plain)}`,
        {
          app,
          cause: error,
          hint:
            'end them (COMMIT, ROLLBACK; SELECT pg_terminate_backend(pid); for a prepared one ROLLBACK PREPARED); it is ' +
            'tried again meanwhile.',
        },
      );
    }
    // 55000 where the setting is 0; its name stands in the server's text, whatever language that is in.
    if (code === '53400' || (code === '55000' && asError(error).message.includes('max_replication_slots'))) {
      return new ServerSetupError(`There is no free replication slot for "${this.name}" on ${where}`, {
        app,
        cause: error,
        hint:
          'drop one that nobody uses: SELECT slot_name, active FROM pg_replication_slots; SELECT ' +
          'pg_drop_replication_slot(...); or as a superuser: ALTER SYSTEM SET max_replication_slots = 20; then restart ' +
          'the server.',
      });
    }
    // Another process made it between our look and now.
    if (code === '42710')
      return new SlotInUseError(`The slot "${this.name}" was just made by another process`, { app });
    return translateServerError(error, this.target);
  }

  /** Which transactions slot creation waits for. Never their queries: they may hold values. */
  private async blockers(client: Client): Promise<string> {
    const { rows } = await client.query<{ who: string }>(
      `SELECT format('pid %s (user %s, application "%s", since %s)', pid, usename, application_name, xact_start) AS who
         FROM pg_catalog.pg_stat_activity WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid()
       UNION ALL
       SELECT format('prepared transaction "%s" (since %s)', gid, prepared) FROM pg_catalog.pg_prepared_xacts`,
    );
    return rows.map((row) => row.who).join('; ') || 'they have ended by now';
  }

  private async read(client: Client): Promise<SlotRow | null> {
    const { rows } = await client.query<SlotRow>(
      `SELECT s.plugin, s.database, current_database() AS current_database, s.wal_status,
              s.confirmed_flush_lsn::text AS confirmed, s.two_phase,
              (to_jsonb(s) ->> 'failover')::boolean AS failover, to_jsonb(s) ->> 'invalidation_reason' AS reason,
              CASE WHEN s.active THEN format('pid %s (application "%s", address %s)', s.active_pid,
                coalesce(a.application_name, '?'), coalesce(host(a.client_addr), 'local')) END AS holder
         FROM pg_catalog.pg_replication_slots s LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = s.active_pid
        WHERE s.slot_name = $1`,
      [this.name],
    );
    return rows[0] ?? null;
  }

  private check(slot: SlotRow): void {
    const { app } = this.target;
    const drop = `SELECT pg_drop_replication_slot('${this.name}');`;
    const where = describeTarget(this.target);
    if (slot.plugin !== 'pgoutput') {
      const kind = slot.plugin === null ? 'a physical one' : `one of the plugin "${slot.plugin}"`;
      throw new SlotError(`The slot "${this.name}" on ${where} is ${kind}; pgoutput is needed`, {
        app,
        hint: `choose another \`slot\` name, or drop the slot if nobody needs it: ${drop}`,
      });
    }
    if (slot.database !== slot.current_database) {
      throw new SlotError(
        `The slot "${this.name}" belongs to the database "${slot.database}", not to "${slot.current_database}" (${where})`,
        {
          app,
          hint:
            'slot names are unique in a cluster: choose another `slot` name, or connect to that database (was it ' +
            `renamed?). Only if no service needs it any more, for its position is lost then: ${drop}`,
        },
      );
    }
    if (this.twoPhase && !slot.two_phase) {
      throw new SlotError(`\`twoPhase\` is set, but the slot "${this.name}" on ${where} was made without it`, {
        app,
        hint:
          'leave the option out: what is prepared comes when it is committed; or choose another `slot` name. Only if no ' +
          `service needs the slot any more, for its position is lost then: ${drop}`,
      });
    }
    if (!this.twoPhase && slot.two_phase) {
      throw new SlotError(`The slot "${this.name}" on ${where} has two-phase decoding on, which nobody asked for`, {
        app,
        hint: `what was prepared before the slot's position would arrive without rows. Set \`twoPhase\`, use another slot, or: ${drop}`,
      });
    }
  }
}
