import { describe, expect, it } from '@jest/globals';
import {
  checkEncoding,
  checkIdleTimeout,
  checkKeepSize,
  checkStandby,
  checkSynchronousStandby,
  checkVersion,
  checkWalLevel,
} from '#lib/cli/doctor/server-checks.js';
import { checkSlots } from '#lib/cli/doctor/slot-checks.js';
import { checkOwnership } from '#lib/cli/doctor/table-checks.js';
import { readWishes } from '#lib/cli/doctor/wishes.js';
import type { ListedSlot } from '#lib/cli/slots/slot-list.js';
import type { ServerSurvey, Setting } from '#lib/cli/doctor/server-survey.js';

const PUBLICATION = {
  name: 'shop',
  mask: 15,
  isForAll: false,
  isViaRoot: true,
  tables: new Set<string>(),
  narrowed: new Set<string>(),
  hasGenerated: false,
};

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
    keepBytes: null,
    walRate: null,
    senders: 0,
    hasPooler: false,
    ...more,
  };
}

describe('what the doctor makes of a server', () => {
  it('knows that on a standby no publication can be made, whoever owns the table', () => {
    const table = {
      oid: '7',
      schema: 'public',
      table: 'orders',
      kind: 'r',
      isPermanent: true,
      root: null,
      hasIdentity: true,
    };
    const own = new Set(['7']);
    expect(checkOwnership([table], [], own, survey({}))).toMatchObject([{ level: 'ok' }]);
    expect(checkOwnership([table], [], own, survey({}, { isStandby: true }))).toMatchObject([
      { level: 'error', what: expect.stringContaining('on a standby none can be made: public.orders') },
    ]);
    const carrying = { ...PUBLICATION, tables: new Set(['7']) };
    expect(checkOwnership([table], [carrying], own, survey({}, { isStandby: true }))).toMatchObject([{ level: 'ok' }]);
  });

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

  it('says how long a limit of what is kept lasts, and warns where that is less than an hour', () => {
    const keep = (keepBytes: number | null, walRate: number | null) =>
      checkKeepSize(survey({ max_slot_wal_keep_size: '2GB' }, { keepBytes, walRate }));
    expect(keep(null, 1)).toMatchObject({ level: 'warning', what: 'max_slot_wal_keep_size sets no limit' });
    expect(keep(2 ** 31, null)).toMatchObject({ level: 'ok', what: 'max_slot_wal_keep_size is 2GB' });
    expect(keep(2 ** 31, 2 ** 31 / 7_200)).toMatchObject({ level: 'ok', what: expect.stringContaining('about 2 h') });
    expect(keep(2 ** 31, 2 ** 31 / 600)).toMatchObject({
      level: 'warning',
      what: 'max_slot_wal_keep_size is 2GB, about 10 min of writing on average',
      mend: [{ sql: `ALTER SYSTEM SET max_slot_wal_keep_size = '288GB';` }, { sql: 'SELECT pg_reload_conf();' }],
    });
  });

  it('says when the server gives a slot up that nobody reads, or that is read too slowly', () => {
    const slot: ListedSlot = {
      name: 'shop',
      plugin: 'pgoutput',
      database: 'shop',
      temporary: false,
      active: false,
      activePid: null,
      application: null,
      retainedBytes: 2 ** 20,
      walStatus: 'reserved',
      safeBytes: null,
      givenUpInSeconds: null,
      invalidation: null,
      idleSeconds: null,
      confirmedLsn: '0/1',
      restartLsn: '0/1',
      synced: false,
      owner: null,
    };
    const found = (more: Partial<ListedSlot>) =>
      checkSlots([{ ...slot, ...more }], survey({})).map(({ check, what }) => [check, what]);
    const stale = 'Nobody reads the slot "shop" (database "shop"), and it holds back 1024 kB of write-ahead log';
    expect(found({})).toEqual([['stale-slot', stale]]);
    expect(found({ givenUpInSeconds: 10_800 })).toEqual([
      ['stale-slot', `${stale}; the server gives it up in about 3 h, as things go`],
    ]);
    expect(found({ givenUpInSeconds: 0 })).toEqual([
      ['stale-slot', `${stale}; the server gives it up at the next checkpoint`],
    ]);
    const reading = { active: true, activePid: 7, application: 'shop-api' };
    const behind = 'The slot "shop" (pid 7, application "shop-api") is 1024 kB behind, and the server gives it up';
    expect(found({ ...reading, safeBytes: 2 ** 20, givenUpInSeconds: 60 })[0]![0]).toBe('stale-slot');
    expect(found({ ...reading, safeBytes: 2 ** 16, givenUpInSeconds: 60 })).toEqual([
      ['slot-at-risk', `${behind} in about 60 s, as things go`],
    ]);
    expect(found({ ...reading, walStatus: 'unreserved' })).toEqual([
      ['slot-at-risk', `${behind} at the next checkpoint`],
    ]);
  });

  it('reads options that a listener is to have', () => {
    expect([...readWishes(['streaming, twoPhase', 'binary'])]).toEqual(['streaming', 'twoPhase', 'binary']);
    expect(() => readWishes(['streams'])).toThrow(
      /--with knows no option "streams"[^]*streaming, twoPhase, binary, toast, origin/,
    );
  });
});
