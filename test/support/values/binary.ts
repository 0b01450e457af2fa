import fc from 'fast-check';
import { values, type Values } from './values.js';

const bits = fc.string({ unit: fc.constantFrom('0', '1'), maxLength: 70 });
const hex = (bytes: Uint8Array): string => `\\x${Buffer.from(bytes).toString('hex')}`;
const EVERY_BYTE = Uint8Array.from({ length: 256 }, (_, index) => index);

export const BINARY: Readonly<Record<string, Values>> = {
  bytea: values(
    ['\\x', hex(EVERY_BYTE), '\\x00', '\\x5c', '\\x5c78', '\\x27', hex(new Uint8Array(20_000).map((_, i) => i * i))],
    fc.uint8Array({ maxLength: 60 }).map(hex),
  ),
  bit: values(['', '0', '1', '10110', '1'.repeat(100)], bits),
  varbit: values(['', '0', '0000000', '10110', '10'.repeat(500)], bits),
  uuid: values(['00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff'], fc.uuid()),
};
