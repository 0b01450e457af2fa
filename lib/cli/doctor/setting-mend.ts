import { escapeLiteral } from 'pg';
import { bySuperuser, type Mend } from './finding.js';
import type { ServerSurvey } from './server-survey.js';

const RESTART =
  'restart the server: pg_ctl restart -D DATA_DIRECTORY; systemctl restart postgresql; of a container, docker restart NAME';

/** What some hosts call a setting. */
const HOSTED: Readonly<Record<'rds' | 'cloud-sql' | 'azure', Readonly<Record<string, string>>>> = {
  rds: { wal_level: 'rds.logical_replication = 1' },
  'cloud-sql': { wal_level: 'cloudsql.logical_decoding = on' },
  azure: {},
};
const PLACES = {
  rds: 'in the parameter group of the instance',
  'cloud-sql': 'among the flags of the instance',
  azure: 'among the server parameters',
} as const;

/** How a setting gets another value, on this server. @param needsRestart whether the server takes it only when it starts */
export function settingMend(
  { settings, host }: Pick<ServerSurvey, 'settings' | 'host'>,
  name: string,
  value: string,
  needsRestart: boolean,
): Mend[] {
  if (host !== null) {
    const wanted = HOSTED[host][name] ?? `${name} = ${value}`;
    return [{ step: `set ${wanted} ${PLACES[host]}${needsRestart ? ', and restart the instance' : ''}` }];
  }
  const setting = settings.get(name);
  if (setting?.source === 'command line') {
    return [
      {
        step:
          `the command that starts the server sets ${name} (-c ${name}=${setting.value}: a container's command, a service ` +
          `file), which counts for more than ALTER SYSTEM: write ${name}=${value} there, and restart the server`,
      },
    ];
  }
  const change = `ALTER SYSTEM SET ${name} = ${escapeLiteral(value)};`;
  if (needsRestart) return [...bySuperuser(change), { step: RESTART }];
  return bySuperuser(change, 'SELECT pg_reload_conf();');
}
