import { OWN_SCHEMA } from '../../changes/own-schema.js';
import type { Client, PoolClient } from 'pg';
import { escapeIdentifier, escapeLiteral } from 'pg';
import { describeTarget, type ConnectionTarget } from '../../connection/connection-target.js';
import { ServerSetupError } from '../../errors/replication.error.js';
import { sqlState } from '../../errors/sql-state.js';
import type { EffectsSession } from './effects-sessions.js';

/** Sessions of several processes, and apps, look for a free one. */
const MOST = 1_000;
const IN_USE = '55006';
/** The server keeps the state of so many origins, in use or not, and of no more. */
const NO_STATE_LEFT = '53400';
/** Somebody else was quicker. */
const MADE_ALREADY = new Set(['23505', '42710']);
const FUNCTIONS = [
  'pg_replication_origin_create(text)',
  'pg_replication_origin_oid(text)',
  'pg_replication_origin_session_setup(text)',
];

/**
 * Replication origins (manual, chapter 50) for sessions whose writes are not to come back: the server lets one session
 * have an origin at a time, so that each has one of its own, `nestjs_pg_listener_<number>` (`pg_` is reserved). They are the
 * cluster's, and outlive their sessions: all apps share them, so that there are no more than sessions at a time.
 */
export class SessionOrigins {
  private readonly taken = new Set<number>();

  /** Marks whatever the session writes from here on. */
  async mark(session: EffectsSession): Promise<void> {
    for (let number = 1; number <= MOST; number++) {
      if (this.taken.has(number)) continue;
      this.taken.add(number);
      try {
        if (await this.take(session, `${OWN_SCHEMA}_${number}`)) {
          this.leaveAtEnd(session.client, number);
          return;
        }
      } catch (error) {
        this.taken.delete(number);
        throw error;
      }
      this.taken.delete(number);
    }
    throw new Error(`all replication origins up to ${OWN_SCHEMA}_${MOST} are in use`);
  }

  /** @returns false where another process has it */
  private async take(session: EffectsSession, name: string): Promise<boolean> {
    const origin = escapeLiteral(name);
    const make = `SELECT pg_catalog.pg_replication_origin_create(${origin})
 WHERE pg_catalog.pg_replication_origin_oid(${origin}) IS NULL`;
    try {
      await session.ask(make).catch((error: unknown) => {
        if (!MADE_ALREADY.has(sqlState(error))) throw error;
      });
      await session.ask(`SELECT pg_catalog.pg_replication_origin_session_setup(${origin})`);
      return true;
    } catch (error) {
      if (sqlState(error) === IN_USE) return false;
      if (sqlState(error) === NO_STATE_LEFT) throw noStateLeft(error);
      throw error;
    }
  }

  private leaveAtEnd(client: PoolClient, number: number): void {
    client.once('end', () => this.taken.delete(number));
  }
}

/** Other subscriptions and clients of the cluster have them too, and some may have been left behind. */
function noStateLeft(cause: unknown): Error {
  return new Error(
    'no replication origin is free: each call of a transactional handler that runs at once needs one. Raise ' +
      'max_active_replication_origins (before PostgreSQL 18: max_replication_slots), or drop those that nobody needs: ' +
      'SELECT * FROM pg_replication_origin_status; SELECT pg_replication_origin_drop(external_id)',
    { cause },
  );
}

/** What a superuser has to grant before the role may mark what it writes; empty: nothing. */
export async function missingOriginRights(client: Client): Promise<string[]> {
  const { rows } = await client.query<{ name: string; role: string }>(
    `SELECT name, current_user AS role FROM unnest($1::text[]) AS name WHERE NOT has_function_privilege(name, 'EXECUTE')`,
    [FUNCTIONS],
  );
  return rows.map(({ name, role }) => `GRANT EXECUTE ON FUNCTION ${name} TO ${escapeIdentifier(role)};`);
}

/** @throws ServerSetupError where the role may not mark what it writes */
export async function requireOriginRights(client: Client, target: ConnectionTarget): Promise<void> {
  const grants = await missingOriginRights(client);
  if (grants.length === 0) return;
  throw new ServerSetupError(
    `\`origin: 'none'\` marks what transactional handlers write, and the role may not on ${describeTarget(target)}`,
    { app: target.app, hint: `as a superuser: ${grants.join(' ')}` },
  );
}
