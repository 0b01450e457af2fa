import {
  begin,
  beginPrepare,
  commit,
  commitPrepared,
  deletion,
  insert,
  logicalMessage,
  origin,
  prepare,
  relation,
  rollbackPrepared,
  streamAbort,
  streamCommit,
  streamPrepare,
  streamStart,
  streamStop,
  truncation,
  typeMessage,
  UNCHANGED_TOAST,
  update,
} from '../../support/pgoutput-encoder.js';

/**
 * Columns of many types, so that node-postgres' parsers run on what the mutations make of the values. Without bytea:
 * its parser never returns where the text ends in one backslash, which no server writes.
 */
export const SAMPLE_RELATION = {
  id: 16_384,
  table: 'things',
  columns: [
    { name: 'id', typeOid: 20, isKey: true },
    { name: 'name', typeOid: 25 },
    { name: 'at', typeOid: 1184 },
    { name: 'data', typeOid: 3802 },
    { name: 'span', typeOid: 1186 },
    { name: 'tags', typeOid: 1009 },
    { name: 'ok', typeOid: 16 },
  ],
} as const;

const NEW = [
  '42',
  'Ärger 🐘',
  '2026-01-02 03:04:05.678901+00',
  '{"a":[1,2]}',
  '1 year 2 mons 03:04:05.678',
  '{a,"b c",NULL}',
  't',
];
const OLD = ['42', null, '2026-01-02 03:04:05.678902+00', '{"a":[1]}', '00:00:01', '{}', 'f'];
const KEY = ['42', null, null, null, null, null, null];
const ID = SAMPLE_RELATION.id;

/** One valid message of each type and shape, under the manual's name of the type. */
export const SAMPLES: readonly (readonly [messageType: string, shape: string, message: Buffer])[] = [
  ['Begin', '', begin(0x1_0000_0010n, 777)],
  ['Commit', '', commit(0x1_0000_0010n, 0x1_0000_0040n)],
  ['Origin', '', origin('elsewhere', 5n)],
  ['Relation', '', relation(SAMPLE_RELATION)],
  ['Relation', 'without columns', relation({ ...SAMPLE_RELATION, id: 16_385, columns: [] })],
  ['Type', '', typeMessage(16_999, 'public', 'mood')],
  ['Insert', '', insert(ID, NEW)],
  ['Insert', 'with nulls', insert(ID, OLD)],
  ['Update', 'without old tuple', update(ID, NEW)],
  ['Update', 'with key tuple', update(ID, NEW, { kind: 'K', cells: KEY })],
  ['Update', 'with old tuple', update(ID, NEW, { kind: 'O', cells: OLD })],
  [
    'Update',
    'with unchanged TOAST',
    update(ID, NEW.with(1, UNCHANGED_TOAST as never), { kind: 'O', cells: NEW.with(6, 'f') }),
  ],
  ['Delete', 'with key tuple', deletion(ID, 'K', KEY)],
  ['Delete', 'with old tuple', deletion(ID, 'O', OLD)],
  ['Truncate', 'of several tables', truncation([ID, ID, ID], 3)],
  ['Message', 'transactional', logicalMessage(true, 0x99n, 'outbox', 'content')],
  ['Message', 'not transactional', logicalMessage(false, 0x99n, 'outbox', '')],
  ['StreamStart', 'of the first part', streamStart(777)],
  ['StreamStart', 'of a later part', streamStart(777, false)],
  ['StreamStop', '', streamStop()],
  ['StreamCommit', '', streamCommit(777, 0x1_0000_0010n, 0x1_0000_0040n)],
  ['StreamAbort', '', streamAbort(777, 778)],
  ['BeginPrepare', '', beginPrepare(0x1_0000_0010n, 0x1_0000_0040n, 777, 'Ärger')],
  ['Prepare', '', prepare(0x1_0000_0010n, 0x1_0000_0040n, 777, 'Ärger')],
  ['StreamPrepare', '', streamPrepare(0x1_0000_0010n, 0x1_0000_0040n, 777, 'Ärger')],
  ['CommitPrepared', '', commitPrepared(0x1_0000_0010n, 0x1_0000_0040n, 777, 'Ärger')],
  ['RollbackPrepared', '', rollbackPrepared(0x1_0000_0010n, 0x1_0000_0040n, 777, 'Ärger')],
];
