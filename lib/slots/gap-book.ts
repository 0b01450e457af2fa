import type { Client } from 'pg';
import { OWN_SCHEMA } from '../changes/own-schema.js';
import { sqlState } from '../errors/sql-state.js';
import type { GapKind, PgListenerGap } from '../interfaces/gap.interface.js';
import { formatLsn, parseLsn, type Lsn } from '../protocol/lsn.js';
import { REFUSALS } from '../store/own-tables.js';
import type { GapFinding } from './gap-finder.js';

const COLUMNS = `id::text AS id, app, slot_name AS slot, kind, detail, from_lsn::text AS "from", to_lsn::text AS "to",
  extract(epoch FROM detected_at)::text AS "detectedAt", extract(epoch FROM acknowledged_at)::text AS "acknowledgedAt",
  acknowledged_by AS "acknowledgedBy", extract(epoch FROM resolved_at)::text AS "resolvedAt"`;

type Times = 'detectedAt' | 'acknowledgedAt' | 'resolvedAt';
type GapRow = Omit<PgListenerGap, Times> & Record<Times, string | null>;

/** The gaps of one slot: in the database where that can be, else in this process. */
export class GapBook {
  private readonly own: PgListenerGap[] = [];
  private numbers = 0;

  constructor(
    private readonly app: string,
    private readonly slotName: () => string,
  ) {}

  /**
   * Oldest first.
   *
   * @param client null: only those of this process
   * @param all those that are resolved, too
   */
  async list(client: Client | null, all = false): Promise<PgListenerGap[]> {
    const own = this.own.filter(({ resolvedAt }) => all || resolvedAt === null);
    if (client === null) return own;
    const where = all ? '' : 'AND resolved_at IS NULL';
    const sql = `SELECT ${COLUMNS} FROM ${OWN_SCHEMA}.gaps WHERE slot_name = $1 ${where} ORDER BY gaps.id`;
    try {
      const { rows } = await client.query<GapRow>(sql, [this.slotName()]);
      return [...rows.map(gapOf), ...own];
    } catch (error) {
      if (REFUSALS.has(sqlState(error))) return own;
      throw error;
    }
  }

  /** @param acknowledgedBy null: it waits for somebody */
  async add(client: Client | null, finding: GapFinding, acknowledgedBy: string | null): Promise<PgListenerGap> {
    const [from, to] = [lsnText(finding.from), lsnText(finding.to)];
    if (client !== null) {
      const { rows } = await client.query<GapRow>(
        `INSERT INTO ${OWN_SCHEMA}.gaps (slot_name, app, kind, from_lsn, to_lsn, detail, acknowledged_at, acknowledged_by)
         VALUES ($1, $2, $3, $4, $5, $6, CASE WHEN $7::text IS NOT NULL THEN now() END, $7) RETURNING ${COLUMNS}`,
        [this.slotName(), this.app, finding.kind, from, to, finding.detail, acknowledgedBy],
      );
      return gapOf(rows[0]!);
    }
    const now = new Date();
    const gap = {
      id: `process-${++this.numbers}`,
      app: this.app,
      slot: this.slotName(),
      kind: finding.kind,
      detail: finding.detail,
      from,
      to,
      detectedAt: now,
      acknowledgedAt: acknowledgedBy === null ? null : now,
      acknowledgedBy,
      resolvedAt: null,
    };
    this.own.push(gap);
    return gap;
  }

  /** @param ids undefined: all that wait. @returns those that were acknowledged just now */
  async acknowledge(client: Client | null, ids: readonly string[] | undefined, by: string): Promise<PgListenerGap[]> {
    const isMeant = (gap: PgListenerGap): boolean =>
      gap.acknowledgedAt === null && gap.resolvedAt === null && (ids === undefined || ids.includes(gap.id));
    const own = this.change(isMeant, { acknowledgedAt: new Date(), acknowledgedBy: by });
    if (client === null) return own;
    const numbers = ids?.filter((id) => /^\d{1,18}$/.test(id)) ?? null;
    const sql = `UPDATE ${OWN_SCHEMA}.gaps SET acknowledged_at = now(), acknowledged_by = $2
        WHERE slot_name = $1 AND acknowledged_at IS NULL AND resolved_at IS NULL AND ($3::bigint[] IS NULL OR id = ANY ($3))
        RETURNING ${COLUMNS}`;
    try {
      const { rows } = await client.query<GapRow>(sql, [this.slotName(), by, numbers]);
      return [...rows.map(gapOf), ...own];
    } catch (error) {
      if (REFUSALS.has(sqlState(error))) return own;
      throw error;
    }
  }

  /** Writes down what was found while there was no connection. @returns under their new numbers */
  async moveTo(client: Client): Promise<PgListenerGap[]> {
    const moved: PgListenerGap[] = [];
    for (const gap of this.own.splice(0)) {
      const { kind, detail, acknowledgedAt, acknowledgedBy } = gap;
      if (gap.resolvedAt !== null) continue;
      const finding = { kind, detail, from: lsnOf(gap.from), to: lsnOf(gap.to) };
      moved.push(await this.add(client, finding, acknowledgedAt === null ? null : (acknowledgedBy ?? 'application')));
    }
    return moved;
  }

  /** The end of a gap has become known. */
  async extend(client: Client | null, kind: GapKind, to: Lsn): Promise<void> {
    this.change((gap) => gap.kind === kind && gap.resolvedAt === null, { to: formatLsn(to) });
    await client?.query(
      `UPDATE ${OWN_SCHEMA}.gaps SET to_lsn = $3 WHERE slot_name = $1 AND kind = $2 AND resolved_at IS NULL`,
      [this.slotName(), kind, formatLsn(to)],
    );
  }

  /** A stream has begun behind all that were acknowledged. */
  async resolve(client: Client | null): Promise<void> {
    this.change(({ acknowledgedAt, resolvedAt }) => acknowledgedAt !== null && resolvedAt === null, {
      resolvedAt: new Date(),
    });
    await client?.query(
      `UPDATE ${OWN_SCHEMA}.gaps SET resolved_at = now()
        WHERE slot_name = $1 AND acknowledged_at IS NOT NULL AND resolved_at IS NULL`,
      [this.slotName()],
    );
  }

  private change(isMeant: (gap: PgListenerGap) => boolean, what: Partial<PgListenerGap>): PgListenerGap[] {
    const changed: PgListenerGap[] = [];
    for (const [index, gap] of this.own.entries()) {
      if (!isMeant(gap)) continue;
      changed.push((this.own[index] = { ...gap, ...what }));
    }
    return changed;
  }
}

function gapOf(row: GapRow): PgListenerGap {
  return {
    ...row,
    detectedAt: timeOf(row.detectedAt)!,
    acknowledgedAt: timeOf(row.acknowledgedAt),
    resolvedAt: timeOf(row.resolvedAt),
  };
}

function timeOf(seconds: string | null): Date | null {
  return seconds === null ? null : new Date(Number(seconds) * 1000);
}

function lsnOf(text: string | null): Lsn | null {
  return text === null ? null : parseLsn(text);
}

function lsnText(lsn: Lsn | null): string | null {
  return lsn === null ? null : formatLsn(lsn);
}
