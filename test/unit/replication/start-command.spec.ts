import { describe, expect, it } from '@jest/globals';
import { startCommand } from '#lib/replication/start-command.js';

const ANY = { wantsMessages: false, origin: 'any', streaming: false, format: 'text' } as const;
const V18 = 180_004;

describe('the command that starts a stream', () => {
  it('is always from 0/0: the slot knows better than we do where it stands', () => {
    expect(startCommand('shop', ['pg_listener_shop'], V18, ANY)).toBe(
      `START_REPLICATION SLOT "shop" LOGICAL 0/0 (proto_version '4', publication_names '"pg_listener_shop"')`,
    );
  });

  it.each([
    [140_023, 2],
    [150_018, 3],
    [160_014, 4],
    [170_010, 4],
    [190_000, 4],
  ])('asks a server of version %i for version %i of the protocol', (version, protocol) => {
    expect(startCommand('shop', ['one'], version, ANY)).toContain(`(proto_version '${protocol}', `);
  });

  it('takes publications by whatever names they have', () => {
    const command = startCommand('shop', ['a "b"', "c'd", 'e,f'], V18, ANY);
    expect(command).toContain(`publication_names '"a ""b""","c''d","e,f"')`);
  });

  it('asks for logical messages only where somebody handles them', () => {
    expect(startCommand('shop', ['one'], V18, { ...ANY, wantsMessages: true })).toContain(`, messages 'true')`);
    expect(startCommand('shop', ['one'], V18, ANY)).not.toContain('messages');
  });

  it('asks for an origin only where one is to be left out: servers before 16 do not know the option', () => {
    expect(startCommand('shop', ['one'], V18, { ...ANY, origin: 'none' })).toContain(`, origin 'none')`);
    expect(startCommand('shop', ['one'], V18, ANY)).not.toContain('origin');
  });

  it('asks for transactions in progress only where that is wanted, and for two-phase commit never', () => {
    expect(startCommand('shop', ['one'], V18, { ...ANY, streaming: true })).toContain(`, streaming 'on')`);
    expect(startCommand('shop', ['one'], V18, ANY)).not.toContain('streaming');
    expect(startCommand('shop', ['one'], V18, { ...ANY, streaming: true })).not.toContain('two_phase');
  });

  it('asks for the binary format where it is chosen', () => {
    expect(startCommand('shop', ['one'], V18, { ...ANY, format: 'binary' })).toMatch(/, binary 'true'\)$/);
    expect(startCommand('shop', ['one'], V18, ANY)).not.toContain('binary');
  });
});
