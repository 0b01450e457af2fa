import type { MadeType } from '../../protocol/made-type.js';
import { versionedText, tsqueryText, tsvectorText } from './documents.js';
import { float4Text, float8Text } from './float-text.js';
import { boxText, circleText, lineText, lsegText, pathText, pointText, polygonText } from './geometry.js';
import { byteaText, charText, snapshotText, tidText } from './identifiers.js';
import { bitsText, cidrText, inetText, macaddr8Text, macaddrText, uuidText } from './network.js';
import { boolText, int2Text, int4Text, int8Text, lsnText, numericText, uint4Text, uint8Text } from './numbers.js';
import { dateText, intervalText, timestampText, timestamptzText, timetzText, timeText } from './times.js';
import { readUtf8, type ReadText } from './value-reader.js';

/** A base type of PostgreSQL. The oids of built-in types never change. */
export interface BuiltInType {
  readonly name: string;
  /** Its text from its binary form; null: only a session can write it. */
  readonly text: ReadText | null;
  readonly arrayOid: number;
  /** Its text depends on settings that no reader knows, such as TimeZone. */
  readonly isSessionBound: boolean;
}

/** Name, oid, oid of its arrays, text. */
type Entry = readonly [string, number, number, ReadText];

const TYPES: readonly Entry[] = [
  ['boolean', 16, 1000, boolText],
  ['bytea', 17, 1001, byteaText],
  ['"char"', 18, 1002, charText],
  ['name', 19, 1003, readUtf8],
  ['bigint', 20, 1016, int8Text],
  ['smallint', 21, 1005, int2Text],
  ['integer', 23, 1007, int4Text],
  ['text', 25, 1009, readUtf8],
  ['oid', 26, 1028, uint4Text],
  ['tid', 27, 1010, tidText],
  ['xid', 28, 1011, uint4Text],
  ['cid', 29, 1012, uint4Text],
  ['json', 114, 199, readUtf8],
  ['xml', 142, 143, readUtf8],
  ['point', 600, 1017, pointText],
  ['lseg', 601, 1018, lsegText],
  ['path', 602, 1019, pathText],
  ['box', 603, 1020, boxText],
  ['polygon', 604, 1027, polygonText],
  ['line', 628, 629, lineText],
  ['cidr', 650, 651, cidrText],
  ['real', 700, 1021, float4Text],
  ['double precision', 701, 1022, float8Text],
  ['circle', 718, 719, circleText],
  ['macaddr8', 774, 775, macaddr8Text],
  ['macaddr', 829, 1040, macaddrText],
  ['inet', 869, 1041, inetText],
  ['character', 1042, 1014, readUtf8],
  ['character varying', 1043, 1015, readUtf8],
  ['date', 1082, 1182, dateText],
  ['time', 1083, 1183, timeText],
  ['timestamp', 1114, 1115, timestampText],
  ['interval', 1186, 1187, intervalText],
  ['time with time zone', 1266, 1270, timetzText],
  ['bit', 1560, 1561, bitsText],
  ['bit varying', 1562, 1563, bitsText],
  ['numeric', 1700, 1231, numericText],
  ['refcursor', 1790, 2201, readUtf8],
  ['uuid', 2950, 2951, uuidText],
  ['txid_snapshot', 2970, 2949, snapshotText],
  ['pg_lsn', 3220, 3221, lsnText],
  ['tsvector', 3614, 3643, tsvectorText],
  ['tsquery', 3615, 3645, tsqueryText],
  ['jsonb', 3802, 3807, versionedText],
  ['jsonpath', 4072, 4073, versionedText],
  ['pg_snapshot', 5038, 5039, snapshotText],
  ['xid8', 5069, 271, uint8Text],
];

/** Name, oid, oid of its arrays: names and formats that only a session knows. */
const OF_A_SESSION: readonly (readonly [string, number, number])[] = [
  ['regproc', 24, 1008],
  ['money', 790, 791],
  ['regprocedure', 2202, 2207],
  ['regoper', 2203, 2208],
  ['regoperator', 2204, 2209],
  ['regclass', 2205, 2210],
  ['regtype', 2206, 2211],
  ['regconfig', 3734, 3735],
  ['regdictionary', 3769, 3770],
  ['regnamespace', 4089, 4090],
  ['regrole', 4096, 4097],
  ['regcollation', 4191, 4192],
];

export const TIMESTAMPTZ = 1184;
export const TIMESTAMPTZ_ARRAY = 1185;
export const INT2_VECTOR = { oid: 22, arrayOid: 1006, elementOid: 21 };
export const OID_VECTOR = { oid: 30, arrayOid: 1013, elementOid: 26 };
export const BOX = 603;

export const BUILT_IN: ReadonlyMap<number, BuiltInType> = new Map<number, BuiltInType>([
  ...TYPES.map(([name, oid, arrayOid, text]) => [oid, { name, text, arrayOid, isSessionBound: false }] as const),
  ...OF_A_SESSION.map(([name, oid, arrayOid]) => [oid, { name, text: null, arrayOid, isSessionBound: true }] as const),
  [
    TIMESTAMPTZ,
    { name: 'timestamp with time zone', text: timestamptzText, arrayOid: TIMESTAMPTZ_ARRAY, isSessionBound: true },
  ],
]);

interface BuiltInRange {
  readonly name: string;
  readonly oid: number;
  readonly arrayOid: number;
  readonly subtype: number;
  readonly multirange: string;
  readonly multirangeOid: number;
  readonly multirangeArrayOid: number;
}

/** Name, oid, oid of its arrays, of its bounds; the same of its multirange. */
export const BUILT_IN_RANGES: readonly BuiltInRange[] = (
  [
    ['int4range', 3904, 3905, 23, 'int4multirange', 4451, 6150],
    ['numrange', 3906, 3907, 1700, 'nummultirange', 4532, 6151],
    ['tsrange', 3908, 3909, 1114, 'tsmultirange', 4533, 6152],
    ['tstzrange', 3910, 3911, TIMESTAMPTZ, 'tstzmultirange', 4534, 6153],
    ['daterange', 3912, 3913, 1082, 'datemultirange', 4535, 6155],
    ['int8range', 3926, 3927, 20, 'int8multirange', 4536, 6157],
  ] as const
).map(([name, oid, arrayOid, subtype, multirange, multirangeOid, multirangeArrayOid]) => {
  return { name, oid, arrayOid, subtype, multirange, multirangeOid, multirangeArrayOid };
});

/** Without a send function: the server sends their text, whatever the format. Not so for arrays of them. */
export const ALWAYS_TEXT: ReadonlySet<number> = new Set([1033 /* aclitem */, 3642 /* gtsvector */]);

const ACLITEM = { oid: 1033, arrayOid: 1034 };

/** What a built-in array, range or multirange is made of; undefined: it is none of them. */
export function builtInShape(oid: number): MadeType | undefined {
  return SHAPES.get(oid);
}

const SHAPES: ReadonlyMap<number, MadeType> = builtInShapes();

function builtInShapes(): Map<number, MadeType> {
  const shapes = new Map<number, MadeType>();
  const array = (oid: number, of: number): unknown =>
    shapes.set(oid, { kind: 'array', of, delimiter: of === BOX ? ';' : ',' });
  for (const [oid, { arrayOid }] of BUILT_IN) array(arrayOid, oid);
  for (const { oid, arrayOid } of [INT2_VECTOR, OID_VECTOR, ACLITEM]) array(arrayOid, oid);
  for (const { oid, arrayOid, subtype, multirangeOid, multirangeArrayOid } of BUILT_IN_RANGES) {
    shapes.set(oid, { kind: 'range', of: subtype });
    shapes.set(multirangeOid, { kind: 'multirange', of: oid });
    array(arrayOid, oid);
    array(multirangeArrayOid, multirangeOid);
  }
  return shapes;
}
