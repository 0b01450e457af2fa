import fc from 'fast-check';
import { values, type Values } from './values.js';

const octets = (count: number): fc.Arbitrary<number[]> => fc.array(fc.nat(255), { minLength: count, maxLength: count });
const mac = (bytes: readonly number[]): string => bytes.map((each) => each.toString(16).padStart(2, '0')).join(':');
const words = (bits: bigint): string => (bits.toString(16).padStart(32, '0').match(/.{4}/g) ?? []).join(':');

const ip4Network = fc.tuple(fc.integer({ min: 0, max: 0xffff_ffff }), fc.nat(32)).map(([address, length]) => {
  const network = length === 0 ? 0 : ((address >>> (32 - length)) << (32 - length)) >>> 0;
  return `${[24, 16, 8, 0].map((shift) => (network >>> shift) & 255).join('.')}/${length}`;
});
const ip6Network = fc.tuple(fc.bigInt({ min: 0n, max: 2n ** 128n - 1n }), fc.nat(128)).map(([address, length]) => {
  const host = BigInt(128 - length);
  return `${words((address >> host) << host)}/${length}`;
});

export const NETWORK: Readonly<Record<string, Values>> = {
  inet: values(
    [
      '0.0.0.0',
      '192.168.0.1',
      '192.168.0.1/24',
      '255.255.255.255/0',
      '::',
      '::1',
      '::ffff:1.2.3.4',
      '::1.2.3.4',
      '::2',
      '1::2:0:0:3',
      '2001:db8::1/64',
    ],
    fc.oneof(
      fc.tuple(fc.ipV4(), fc.nat(32)).map((each) => each.join('/')),
      fc.tuple(fc.bigInt({ min: 0n, max: 2n ** 128n - 1n }), fc.nat(128)).map(([bits, n]) => `${words(bits)}/${n}`),
    ),
  ),
  cidr: values(
    ['0.0.0.0/0', '10.0.0.0/8', '192.168.1.1/32', '::/0', '2001:db8::/32'],
    fc.oneof(ip4Network, ip6Network),
  ),
  macaddr: values(['00:00:00:00:00:00', '08:00:2b:01:02:03', 'ff:ff:ff:ff:ff:ff'], octets(6).map(mac)),
  macaddr8: values(
    ['00:00:00:00:00:00:00:00', '08:00:2b:ff:fe:01:02:03', 'ff:ff:ff:ff:ff:ff:ff:ff'],
    octets(8).map(mac),
  ),
};
