/**
 * A log sequence number: a byte position in the write-ahead log, 64 bits. The text form is two hexadecimal numbers
 * of 32 bits each, `X/Y` (manual, section 8.20 "pg_lsn Type").
 */
export type Lsn = bigint;

/** "Not a position": what START_REPLICATION takes for "where the slot stands". */
export const INVALID_LSN: Lsn = 0n;

/** `0x16B374D848n` to `'16/B374D848'`. */
export function formatLsn(lsn: Lsn): string {
  return formatLsnParts(Number(lsn >> 32n), Number(lsn & 0xffffffffn));
}

/** The same from two 32-bit halves, signed or not, without a bigint on the way. */
export function formatLsnParts(high: number, low: number): string {
  return `${(high >>> 0).toString(16).toUpperCase()}/${(low >>> 0).toString(16).toUpperCase()}`;
}

/** `'16/B374D848'` to `0x16B374D848n`. @throws RangeError where the text is no LSN. */
export function parseLsn(text: string): Lsn {
  const match = /^([0-9a-f]{1,8})\/([0-9a-f]{1,8})$/i.exec(text);
  if (match === null) throw new RangeError('Not a log sequence number of the form X/Y');
  return (BigInt(`0x${match[1]}`) << 32n) | BigInt(`0x${match[2]}`);
}

/** In two 32-bit halves, unsigned. */
export function lsnParts(lsn: Lsn): { readonly walHigh: number; readonly walLow: number } {
  return { walHigh: Number(lsn >> 32n), walLow: Number(lsn & 0xffffffffn) };
}

/** From two 32-bit halves as they stand on the wire. */
export function lsnFromParts(high: number, low: number): Lsn {
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
}

export function laterLsn(one: Lsn, other: Lsn): Lsn {
  return one > other ? one : other;
}
