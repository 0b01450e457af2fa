/**
 * Writes what a server writes: pgoutput messages (manual, section 54.9), the streaming replication messages around
 * them (section 54.4) and the frames around those (section 54.7).
 */

/** A column value of TupleData: null, text, bytes as text, unchanged TOAST, or a kind and bytes of one's own. */
export type Cell = null | string | Buffer | typeof UNCHANGED_TOAST | { readonly kind: string; readonly value: Buffer };

export const UNCHANGED_TOAST = Symbol('unchanged TOAST');

export interface ColumnSpec {
  readonly name: string;
  readonly typeOid?: number;
  readonly typeModifier?: number;
  readonly isKey?: boolean;
}

export interface RelationSpec {
  readonly id: number;
  readonly schema?: string;
  readonly table?: string;
  readonly replicaIdentity?: 'd' | 'n' | 'f' | 'i';
  readonly columns: readonly ColumnSpec[];
}

const INT4 = 23;

export function uint8(value: number): Buffer {
  return Buffer.from([value & 0xff]);
}

export function int16(value: number): Buffer {
  const buffer = Buffer.alloc(2);
  buffer.writeInt16BE(value);
  return buffer;
}

export function int32(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeInt32BE(value | 0);
  return buffer;
}

export function uint64(value: bigint): Buffer {
  const buffer = Buffer.alloc(8);
  buffer.writeBigUInt64BE(BigInt.asUintN(64, value));
  return buffer;
}

export function cString(text: string): Buffer {
  return Buffer.from(`${text}\0`, 'utf8');
}

function type(letter: string): Buffer {
  return Buffer.from(letter, 'latin1');
}

/** Microseconds since 2000-01-01, as the server counts. */
export function serverTime(date: Date): bigint {
  return BigInt(date.getTime() - Date.UTC(2000, 0, 1)) * 1000n;
}

export const SOME_TIME = new Date('2026-03-04T05:06:07.089Z');

export function begin(finalLsn: bigint, xid = 700, time: Date = SOME_TIME): Buffer {
  return Buffer.concat([type('B'), uint64(finalLsn), uint64(serverTime(time)), int32(xid)]);
}

export function commit(commitLsn: bigint, endLsn: bigint, time: Date = SOME_TIME): Buffer {
  return Buffer.concat([type('C'), uint8(0), uint64(commitLsn), uint64(endLsn), uint64(serverTime(time))]);
}

export function origin(name: string, commitLsn = 0n): Buffer {
  return Buffer.concat([type('O'), uint64(commitLsn), cString(name)]);
}

export function relation(spec: RelationSpec): Buffer {
  const { id, schema = 'public', table = 'things', replicaIdentity = 'd', columns } = spec;
  return Buffer.concat([
    type('R'),
    int32(id),
    cString(schema),
    cString(table),
    type(replicaIdentity),
    int16(columns.length),
    ...columns.flatMap(({ name, typeOid = INT4, typeModifier = -1, isKey = false }) => [
      uint8(isKey ? 1 : 0),
      cString(name),
      int32(typeOid),
      int32(typeModifier),
    ]),
  ]);
}

export function typeMessage(oid: number, schema: string, name: string): Buffer {
  return Buffer.concat([type('Y'), int32(oid), cString(schema), cString(name)]);
}

/** TupleData: the count of columns, then each with its kind. */
export function tuple(cells: readonly Cell[]): Buffer {
  return Buffer.concat([int16(cells.length), ...cells.map(encodeCell)]);
}

function encodeCell(cell: Cell): Buffer {
  if (cell === null) return type('n');
  if (cell === UNCHANGED_TOAST) return type('u');
  if (typeof cell === 'string' || Buffer.isBuffer(cell)) return counted('t', Buffer.from(cell as string));
  return counted(cell.kind, cell.value);
}

function counted(kind: string, value: Buffer): Buffer {
  return Buffer.concat([type(kind), int32(value.length), value]);
}

export function insert(relationId: number, cells: readonly Cell[]): Buffer {
  return Buffer.concat([type('I'), int32(relationId), type('N'), tuple(cells)]);
}

/** @param old a 'K'ey or 'O'ld tuple in front of the new one */
export function update(
  relationId: number,
  cells: readonly Cell[],
  old?: { readonly kind: 'K' | 'O'; readonly cells: readonly Cell[] },
): Buffer {
  const before = old === undefined ? [] : [type(old.kind), tuple(old.cells)];
  return Buffer.concat([type('U'), int32(relationId), ...before, type('N'), tuple(cells)]);
}

export function deletion(relationId: number, kind: 'K' | 'O', cells: readonly Cell[]): Buffer {
  return Buffer.concat([type('D'), int32(relationId), type(kind), tuple(cells)]);
}

/** @param flags 1: CASCADE, 2: RESTART IDENTITY */
export function truncation(relationIds: readonly number[], flags = 0): Buffer {
  return Buffer.concat([type('T'), int32(relationIds.length), uint8(flags), ...relationIds.map(int32)]);
}

export function logicalMessage(transactional: boolean, lsn: bigint, prefix: string, content: Buffer | string): Buffer {
  const bytes = Buffer.from(content as string);
  return Buffer.concat([
    type('M'),
    uint8(transactional ? 1 : 0),
    uint64(lsn),
    cString(prefix),
    int32(bytes.length),
    bytes,
  ]);
}

export function streamStart(xid: number, isFirst = true): Buffer {
  return Buffer.concat([type('S'), int32(xid), uint8(isFirst ? 1 : 0)]);
}

export function streamStop(): Buffer {
  return type('E');
}

export function streamCommit(xid: number, commitLsn: bigint, endLsn: bigint, time: Date = SOME_TIME): Buffer {
  const places = [uint64(commitLsn), uint64(endLsn), uint64(serverTime(time))];
  return Buffer.concat([type('c'), int32(xid), uint8(0), ...places]);
}

/** @param at where: told with `streaming 'parallel'` alone */
export function streamAbort(xid: number, subXid: number, at?: { readonly lsn: bigint; readonly time: Date }): Buffer {
  const place = at === undefined ? [] : [uint64(at.lsn), uint64(serverTime(at.time))];
  return Buffer.concat([type('A'), int32(xid), int32(subXid), ...place]);
}

/** A message as it is within a part: with the xid of its transaction or sub-transaction behind its type. */
export function inPart(xid: number, message: Buffer): Buffer {
  return Buffer.concat([message.subarray(0, 1), int32(xid), message.subarray(1)]);
}

/** Where a transaction was prepared, or its preparation committed: LSN, end of the record, time, xid, name. */
function twoPhasePlace(lsn: bigint, endLsn: bigint, xid: number, gid: string): Buffer[] {
  return [uint64(lsn), uint64(endLsn), uint64(serverTime(SOME_TIME)), int32(xid), cString(gid)];
}

export function beginPrepare(lsn: bigint, endLsn: bigint, xid: number, gid: string): Buffer {
  return Buffer.concat([type('b'), ...twoPhasePlace(lsn, endLsn, xid, gid)]);
}

export function prepare(lsn: bigint, endLsn: bigint, xid: number, gid: string): Buffer {
  return Buffer.concat([type('P'), uint8(0), ...twoPhasePlace(lsn, endLsn, xid, gid)]);
}

export function streamPrepare(lsn: bigint, endLsn: bigint, xid: number, gid: string): Buffer {
  return Buffer.concat([type('p'), uint8(0), ...twoPhasePlace(lsn, endLsn, xid, gid)]);
}

export function commitPrepared(lsn: bigint, endLsn: bigint, xid: number, gid: string): Buffer {
  return Buffer.concat([type('K'), uint8(0), ...twoPhasePlace(lsn, endLsn, xid, gid)]);
}

export function rollbackPrepared(prepareEnd: bigint, rollbackEnd: bigint, xid: number, gid: string): Buffer {
  const [, , time, ...names] = twoPhasePlace(0n, 0n, xid, gid);
  const places = [uint64(prepareEnd), uint64(rollbackEnd), time!, time!];
  return Buffer.concat([type('r'), uint8(0), ...places, ...names]);
}

/** A backend message: type byte, length that counts itself, body. */
export function frame(letter: string, body: Buffer): Buffer {
  return Buffer.concat([type(letter), int32(body.length + 4), body]);
}

/** CopyData with XLogData in it. */
export function xLogData(payload: Buffer, walStart: bigint, sentAt: Date = SOME_TIME): Buffer {
  const head = Buffer.concat([type('w'), uint64(walStart), uint64(walStart), uint64(serverTime(sentAt))]);
  return frame('d', Buffer.concat([head, payload]));
}

/** CopyData with a primary keepalive in it. */
export function keepalive(walEnd: bigint, replyRequested = false, sentAt: Date = SOME_TIME): Buffer {
  const body = [type('k'), uint64(walEnd), uint64(serverTime(sentAt)), uint8(replyRequested ? 1 : 0)];
  return frame('d', Buffer.concat(body));
}

/** The same bytes somewhere inside a larger buffer, with other bytes around: nothing beyond `end` may be read. */
export function embedded(message: Buffer, filler = 0): { buffer: Buffer; start: number; end: number } {
  const around = Buffer.alloc(64, filler);
  return {
    buffer: Buffer.concat([around, message, around]),
    start: around.length,
    end: around.length + message.length,
  };
}
