import type { Client } from 'pg';
import { OWN_SCHEMA } from '../changes/own-schema.js';
import type { SystemIdentity } from '../connection/server-facts.js';
import { formatLsn, parseLsn, type Lsn } from '../protocol/lsn.js';
import type { SlotTrace } from './gap-finder.js';

/** Whose a slot is. */
export interface SlotOwner {
  /** Null: not known. */
  readonly service: string | null;
  readonly app: string;
}

/** Since which position a handler is served, as `X/Y`, by its id. */
export type ServedHandlers = Readonly<Record<string, string>>;

/** What is recorded of a slot. */
export interface RecordedSlot extends SlotOwner, SlotTrace {
  readonly handlers: ServedHandlers;
}

/**
 * What becomes of the recorded position when a stream begins: it holds; it is raised to where the slot stands, after an
 * acknowledged gap; it is given up for where the slot stands, which has another past.
 */
export type Rebase = 'hold' | 'raise' | 'replace';

export interface TakeOver {
  readonly owner: SlotOwner;
  readonly identity: SystemIdentity;
  readonly handlers: ServedHandlers;
  /** Where the slot stands. */
  readonly slotLsn: Lsn;
  readonly rebase: Rebase;
}

/** What a stream may do from its beginning on. */
export interface Tenure {
  /** Number of the take-over: later writes carry it. */
  readonly epoch: bigint;
  readonly recorded: Lsn;
}

interface Row {
  service: string | null;
  app: string;
  system_identifier: string;
  timeline: string;
  confirmed: string;
  handlers: string;
}

/**
 * Goes with a write, and holds for those that follow. A record that a crash of the server could lose, where the
 * confirmation is not lost, would look like a gap.
 */
const DURABLY = `pg_catalog.set_config('synchronous_commit', 'local', false)`;

/** The row of a slot in our table. */
export class SlotRecord {
  constructor(private readonly slotName: string) {}

  /** Null: there is none. */
  async read(client: Client): Promise<RecordedSlot | null> {
    const { rows } = await client.query<Row>(
      `SELECT service, app, system_identifier, timeline, confirmed_lsn::text AS confirmed, handlers::text AS handlers
         FROM ${OWN_SCHEMA}.slots WHERE slot_name = $1`,
      [this.slotName],
    );
    const row = rows[0];
    if (row === undefined) return null;
    return {
      service: row.service,
      app: row.app,
      systemIdentifier: row.system_identifier,
      timeline: row.timeline,
      position: parseLsn(row.confirmed),
      handlers: JSON.parse(row.handlers) as ServedHandlers,
    };
  }

  /**
   * From here on the row is ours: whoever streamed before cannot write it any more.
   *
   * @returns null where the row is another owner's
   */
  async takeOver(client: Client, { owner, identity, handlers, slotLsn, rebase }: TakeOver): Promise<Tenure | null> {
    const { rows } = await client.query<{ epoch: string; confirmed: string }>(
      `INSERT INTO ${OWN_SCHEMA}.slots AS s
         (slot_name, service, app, system_identifier, timeline, confirmed_lsn, epoch, handlers)
       VALUES ($1, $2, $3, $4, $5, $6, 1, $7)
       ON CONFLICT (slot_name) DO UPDATE SET
         service = coalesce(EXCLUDED.service, s.service), app = EXCLUDED.app,
         system_identifier = EXCLUDED.system_identifier, timeline = EXCLUDED.timeline,
         confirmed_lsn = CASE $8 WHEN 'replace' THEN EXCLUDED.confirmed_lsn
                                 WHEN 'raise' THEN greatest(s.confirmed_lsn, EXCLUDED.confirmed_lsn)
                                 ELSE s.confirmed_lsn END,
         epoch = s.epoch + 1, handlers = EXCLUDED.handlers, recorded_at = now()
       WHERE s.app = EXCLUDED.app AND (s.service = EXCLUDED.service) IS NOT FALSE
       RETURNING epoch::text AS epoch, confirmed_lsn::text AS confirmed, ${DURABLY}`,
      [
        this.slotName,
        owner.service,
        owner.app,
        identity.systemIdentifier,
        identity.timeline,
        formatLsn(slotLsn),
        JSON.stringify(handlers),
        rebase,
      ],
    );
    const row = rows[0];
    return row === undefined ? null : { epoch: BigInt(row.epoch), recorded: parseLsn(row.confirmed) };
  }

  /** Before the stream that will own it has begun: a slot is about to be moved. */
  async announce(client: Client, lsn: Lsn): Promise<void> {
    await client.query(
      `UPDATE ${OWN_SCHEMA}.slots SET confirmed_lsn = greatest(confirmed_lsn, $2::pg_lsn) WHERE slot_name = $1
       RETURNING ${DURABLY}`,
      [this.slotName, formatLsn(lsn)],
    );
  }

  /** @returns false where another process has taken over */
  async write(client: Client, epoch: bigint, lsn: Lsn): Promise<boolean> {
    const { rowCount } = await client.query({
      text: `UPDATE ${OWN_SCHEMA}.slots SET confirmed_lsn = $3, recorded_at = now() WHERE slot_name = $1 AND epoch = $2`,
      values: [this.slotName, String(epoch), formatLsn(lsn)],
    });
    return rowCount === 1;
  }
}
