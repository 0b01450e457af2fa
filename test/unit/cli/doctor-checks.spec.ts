import { describe, expect, it } from '@jest/globals';
import {
  checkEncoding,
  checkIdleTimeout,
  checkStandby,
  checkSynchronousStandby,
  checkVersion,
  checkWalLevel,
} from '#lib/cli/doctor/server-checks.js';
import type { ServerSurvey, Setting } from '#lib/cli/doctor/server-survey.js';

function survey(settings: Record<string, string | Setting>, more: Partial<ServerSurvey> = {}): ServerSurvey {
  const all = Object.entries(settings).map(([name, value]) => [
    name,
    typeof value === 'string' ? { value, source: 'default', isPending: false } : value,
  ]);
  return {
    version: 180_004,
    versionText: '18.4',
    isStandby: false,
    encoding: 'UTF8',
    host: null,
    settings: new Map(all as [string, Setting][]),
    role: { name: 'app', database: 'shop', isSuperuser: false, mayReplicate: true, mayCreate: true, isReadOnly: false },
    senders: 0,
    hasPooler: false,
    ...more,
  };
}

describe('what the doctor makes of a server', () => {
  it.each([
    [130_020, 'error'],
    [140_017, 'warning'],
    [140_018, 'ok'],
    [150_012, 'warning'],
    [150_013, 'ok'],
    [160_008, 'warning'],
    [160_009, 'ok'],
    [170_004, 'warning'],
    [170_005, 'ok'],
    [180_000, 'ok'],
    [190_000, 'ok'],
  ])('knows which versions lose changes: %d is %s', (version, level) => {
    const finding = checkVersion({ version, versionText: 'x' });
    expect(finding.level).toBe(level);
    expect(finding.mend).toHaveLength(level === 'ok' ? 0 : 1);
  });

  it('knows that from 19 on, the first slot turns decoding on', () => {
    const replica = { wal_level: 'replica', effective_wal_level: 'replica' };
    expect(checkWalLevel(survey(replica, { version: 190_000 })).level).toBe('ok');
    expect(checkWalLevel(survey({ ...replica, wal_level: 'minimal' }, { version: 190_000 })).level).toBe('error');
    expect(checkWalLevel(survey({ wal_level: 'replica', effective_wal_level: 'logical' })).level).toBe('ok');
    expect(checkWalLevel(survey({ wal_level: 'replica' })).level).toBe('error');
  });

  it('mends a setting where it was set', () => {
    const wal = (more: Partial<ServerSurvey>, source = 'default', isPending = false) =>
      checkWalLevel(survey({ wal_level: { value: 'replica', source, isPending } }, more));
    expect(wal({}).mend).toEqual([
      { sql: "ALTER SYSTEM SET wal_level = 'logical';", by: 'superuser' },
      { step: expect.stringContaining('restart the server') },
    ]);
    const inCommand = wal({}, 'command line').mend;
    expect(inCommand).toEqual([{ step: expect.stringContaining('write wal_level=logical there, and restart') }]);
    const hosts = (['rds', 'cloud-sql', 'azure'] as const).map((host) => wal({ host }).mend[0]);
    expect(hosts).toEqual([
      { step: 'set rds.logical_replication = 1 in the parameter group of the instance, and restart the instance' },
      { step: 'set cloudsql.logical_decoding = on among the flags of the instance, and restart the instance' },
      { step: 'set wal_level = logical among the server parameters, and restart the instance' },
    ]);
    expect(wal({}, 'default', true).what).toContain('waits for a restart');
  });

  it('knows what a standby can do', () => {
    expect(checkStandby({ isStandby: true, version: 150_000 })).toMatchObject([{ level: 'error' }]);
    expect(checkStandby({ isStandby: true, version: 160_000 })).toMatchObject([{ level: 'warning' }]);
    expect(checkStandby({ isStandby: false, version: 150_000 })).toEqual([]);
  });

  it.each([
    ['0', 'ok'],
    ['90s', 'warning'],
    ['30min', 'warning'],
    ['23h', 'warning'],
    ['1d', 'ok'],
    ['48h', 'ok'],
  ])('reads a timeout of %s: %s', (value, level) => {
    expect(checkIdleTimeout(survey({ idle_replication_slot_timeout: value }))).toMatchObject([{ level }]);
  });

  it.each([
    ['', []],
    ['*', ['error']],
    ['FIRST 1 (a, *)', ['error']],
    ['ANY 1 ("Listener", b)', ['error']],
    ['a, b', ['ok']],
  ])('sees whom synchronous_standby_names %j means', (value, levels) => {
    const findings = checkSynchronousStandby(survey({ synchronous_standby_names: value }), 'listener');
    expect(findings.map(({ level }) => level)).toEqual(levels);
  });

  it('warns of an encoding that takes any bytes', () => {
    expect(checkEncoding({ encoding: 'SQL_ASCII' })).toMatchObject([{ level: 'warning' }]);
    expect(checkEncoding({ encoding: 'UTF8' })).toEqual([]);
  });
});
