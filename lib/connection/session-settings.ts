import type { Client } from 'pg';

interface SettingRow {
  readonly name: string;
  readonly setting: string;
  /** Where the value comes from, such as `configuration file`, `database`, `user`; `client`: what the connection asked for. */
  readonly source: string;
}

/**
 * Settings that decide how values look as text, and what node-postgres' parsers can read. 1 is the least number of
 * extra digits with which a float comes back as what it is.
 */
const PINNED: Readonly<Record<string, (current: string) => string>> = {
  DateStyle: () => 'ISO',
  IntervalStyle: () => 'postgres',
  bytea_output: () => 'hex',
  extra_float_digits: (current) => String(Math.max(1, Number(current))),
};

/** A role or database may mute warnings; one of them tells of a publication that is missing. */
const WARNINGS = `SET client_min_messages = 'warning'`;

/**
 * Settings of a role, a database or the server reach a walsender too; values must not depend on them. What the
 * connection itself asks for (`options`, PGOPTIONS) stays: the application's own queries see the same. TimeZone stays
 * as well: it changes how an instant is written, not which one it is.
 *
 * All are set, also those that are right by now: a reload of the configuration does not touch what the session has set.
 *
 * @returns a setting that the connection asks for, and that makes values look other than the pinned one would, such as
 * `DateStyle = German`; undefined: there is none
 */
export async function pinSessionSettings(replication: Client): Promise<string | undefined> {
  // The role's search_path is in force here, so that names of tables in values look as in a query: hence OPERATOR.
  const { rows } = await replication.query<SettingRow>(
    `SELECT name, setting, source FROM pg_catalog.pg_settings
      WHERE name OPERATOR(pg_catalog.=) ANY ('{${Object.keys(PINNED).join(',')}}')`,
  );
  const pins = rows
    .filter(({ source }) => source !== 'client')
    .map(({ name, setting }) => `SET ${name} = '${PINNED[name]!(setting)}'`);
  await replication.query([WARNINGS, ...pins].join('; '));
  const other = rows.find((row) => row.source === 'client' && !isAsPinned(row));
  return other && `${other.name} = ${other.setting}`;
}

/** Of a date style, the order of day and month does not count: ISO has its own. */
function isAsPinned({ name, setting }: SettingRow): boolean {
  return setting.split(',')[0]!.toLowerCase() === PINNED[name]!(setting).toLowerCase();
}
