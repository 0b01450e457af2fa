import { isSynchronousStandby } from '../../connection/server-facts.js';
import { durationText } from '../text-table.js';
import { countText, fault, ok, type Finding } from './finding.js';
import type { ServerSurvey } from './server-survey.js';
import { settingMend } from './setting-mend.js';

/** The first minor versions without faults that lose changes; majors that are not here never had them. */
const SOUND_MINORS: ReadonlyMap<number, number> = new Map([
  [14, 18],
  [15, 13],
  [16, 9],
  [17, 5],
]);
const HOUR_S = 3_600;
const DAY_S = 86_400;

export function checkVersion({ version, versionText }: Pick<ServerSurvey, 'version' | 'versionText'>): Finding {
  const major = Math.floor(version / 10_000);
  const sound = SOUND_MINORS.get(major);
  if (major < 14) {
    return fault(
      'error',
      'version',
      `PostgreSQL ${versionText} is too old`,
      'the protocol of logical replication that is spoken here needs PostgreSQL 14 or later.',
      [{ step: 'upgrade to PostgreSQL 14 or later, best to the newest: pg_upgrade, or another server' }],
    );
  }
  if (sound !== undefined && version % 10_000 < sound) {
    return fault(
      'warning',
      'version',
      `PostgreSQL ${versionText} has a known fault in logical decoding`,
      'changes are lost when a table is added to a publication while a transaction that writes to it is open.',
      [{ step: `update to PostgreSQL ${major}.${sound} or later: the new programs, and a restart; the data stay` }],
    );
  }
  return ok('version', `PostgreSQL ${versionText}`);
}

export function checkWalLevel(survey: ServerSurvey): Finding {
  const { settings, version } = survey;
  const wanted = settings.get('wal_level')!;
  const level = settings.get('effective_wal_level')?.value ?? wanted.value;
  if (level === 'logical') return ok('wal-level', 'wal_level is logical');
  // From 19 on, the first logical slot turns decoding on, unless next to nothing is logged.
  if (version >= 190_000 && wanted.value === 'replica') {
    return ok('wal-level', 'wal_level is replica, and turns logical by itself with the first slot');
  }
  const pending = wanted.isPending ? ' (another value waits for a restart)' : '';
  return fault(
    'error',
    'wal-level',
    `wal_level is ${level}${pending}`,
    'only with "logical" does the write-ahead log hold what is needed to tell changes of rows.',
    settingMend(survey, 'wal_level', 'logical', true),
  );
}

export function checkStandby({ isStandby, version }: Pick<ServerSurvey, 'isStandby' | 'version'>): Finding[] {
  if (!isStandby) return [];
  const can = version >= 160_000;
  return [
    fault(
      can ? 'warning' : 'error',
      'standby',
      'This server is a standby: it follows another one and takes no writes',
      can
        ? 'a slot can be made here, but waits for activity of the primary; publications and the records of a listener can only be made there.'
        : 'before PostgreSQL 16, a standby cannot decode changes.',
      [{ step: 'connect to the primary' }],
    ),
  ];
}

export function checkRoom(survey: ServerSurvey, usedSlots: number): Finding[] {
  const { settings, senders } = survey;
  const room = (check: string, name: string, used: number, what: string, why: string): Finding => {
    const most = Number(settings.get(name)!.value);
    if (used < most) return ok(check, `${most - used} of ${countText(most, what)} free (${name})`);
    const more = String(Math.max(10, most * 2));
    return fault('error', check, `None of ${countText(most, what)} is free (${name})`, why, [
      ...settingMend(survey, name, more, true),
    ]);
  };
  return [
    room(
      'free-slots',
      'max_replication_slots',
      usedSlots,
      'replication slot',
      'a listener needs a slot of its own, and so does tail while it runs. Instead of making room, a slot that nobody needs can be dropped.',
    ),
    room(
      'free-senders',
      'max_wal_senders',
      senders,
      'WAL sender',
      'each listener, subscriber, standby and backup that is connected takes one.',
    ),
  ];
}

export function checkKeepSize(survey: ServerSurvey): Finding {
  const { keepBytes, walRate, settings } = survey;
  const { value } = settings.get('max_slot_wal_keep_size')!;
  if (keepBytes === null) {
    return fault(
      'warning',
      'keep-size',
      'max_slot_wal_keep_size sets no limit',
      'a slot that nobody reads holds write-ahead log back until the disk is full, and then the database stops. With a limit, ' +
        'such a slot is given up instead (its listener then halts and tells of a gap). Choose what the disk can spare.',
      settingMend(survey, 'max_slot_wal_keep_size', '10GB', false),
    );
  }
  if (walRate === null) return ok('keep-size', `max_slot_wal_keep_size is ${value}`);
  const lasts = `max_slot_wal_keep_size is ${value}, about ${durationText(keepBytes / walRate)} of writing on average`;
  if (keepBytes / walRate >= HOUR_S) return ok('keep-size', lasts);
  return fault(
    'warning',
    'keep-size',
    lasts,
    'a service that is down for longer loses its slot, and with it the changes of that time. Choose what the disk can spare.',
    settingMend(survey, 'max_slot_wal_keep_size', `${Math.ceil((walRate * DAY_S) / 2 ** 30)}GB`, false),
  );
}

/** Known from PostgreSQL 18 on. */
export function checkIdleTimeout(survey: ServerSurvey): Finding[] {
  const value = survey.settings.get('idle_replication_slot_timeout')?.value;
  if (value === undefined) return [];
  const seconds = secondsOf(value);
  if (seconds === 0) return [ok('idle-timeout', 'idle_replication_slot_timeout is off')];
  if (seconds >= DAY_S) return [ok('idle-timeout', `idle_replication_slot_timeout is ${value}`)];
  return [
    fault(
      'warning',
      'idle-timeout',
      `idle_replication_slot_timeout is ${value}`,
      'a service that is down for longer loses its slot, and with it the changes of that time.',
      settingMend(survey, 'idle_replication_slot_timeout', '7d', false),
    ),
  ];
}

const UNIT_SECONDS: Readonly<Record<string, number>> = { s: 1, min: 60, h: 3_600, d: DAY_S };

/** Of a setting as the server shows it, such as `90s` or `2h`. */
function secondsOf(value: string): number {
  const [, number, unit] = /^(\d+)(\w*)$/.exec(value) ?? [];
  return Number(number ?? 0) * (UNIT_SECONDS[unit ?? ''] ?? 1);
}

/** @param name what the server would call a listener */
export function checkSynchronousStandby({ settings }: Pick<ServerSurvey, 'settings'>, name: string): Finding[] {
  const { value } = settings.get('synchronous_standby_names')!;
  if (value === '') return [];
  if (!isSynchronousStandby(value, name)) {
    return [ok('synchronous-standby', `synchronous_standby_names (${value}) does not mean a listener`)];
  }
  return [
    fault(
      'error',
      'synchronous-standby',
      `synchronous_standby_names (${value}) takes a listener for a standby`,
      'every commit of the database would wait for its handlers.',
      [
        {
          step: value.includes('*')
            ? 'name the standbys one by one in synchronous_standby_names, instead of *'
            : 'give the listener another application_name: ?application_name=listener in its URL',
        },
      ],
    ),
  ];
}

/** A text in such a database may be none that UTF-8 can say. */
export function checkEncoding({ encoding }: Pick<ServerSurvey, 'encoding'>): Finding[] {
  if (encoding !== 'SQL_ASCII') return [];
  return [
    fault(
      'warning',
      'encoding',
      'The encoding of the database is SQL_ASCII, which takes any bytes',
      'a value that is no UTF-8 can be sent to nobody, and holds up what comes behind it.',
      [{ step: 'move the data to a database with ENCODING UTF8: pg_dump, and pg_restore into the new one' }],
    ),
  ];
}

/** Worth knowing, and nothing to mend. */
export function tellTuning({ settings }: Pick<ServerSurvey, 'settings'>): Finding {
  const memory = settings.get('logical_decoding_work_mem')!.value;
  const patience = settings.get('wal_sender_timeout')!.value;
  return ok('tuning', `logical_decoding_work_mem is ${memory}, wal_sender_timeout is ${patience}`);
}
