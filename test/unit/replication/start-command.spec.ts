import { describe, expect, it } from '@jest/globals';
import { startCommand } from '#lib/replication/start-command.js';

const ANY = { wantsMessages: false, origin: 'any' } as const;

describe('the command that starts a stream', () => {
  it('is always from 0/0: the slot knows better than we do where it stands', () => {
    expect(startCommand('shop', ['pg_listener_shop'], ANY)).toBe(
      `START_REPLICATION SLOT "shop" LOGICAL 0/0 (proto_version '1', publication_names '"pg_listener_shop"')`,
    );
  });

  it('takes publications by whatever names they have', () => {
    expect(startCommand('shop', ['a "b"', "c'd", 'e,f'], ANY)).toContain(`publication_names '"a ""b""","c''d","e,f"')`);
  });

  it('asks for logical messages only where somebody handles them', () => {
    expect(startCommand('shop', ['one'], { wantsMessages: true, origin: 'any' })).toContain(`, messages 'true')`);
    expect(startCommand('shop', ['one'], ANY)).not.toContain('messages');
  });

  it('asks for an origin only where one is to be left out: servers before 16 do not know the option', () => {
    expect(startCommand('shop', ['one'], { wantsMessages: false, origin: 'none' })).toContain(`, origin 'none')`);
    expect(startCommand('shop', ['one'], ANY)).not.toContain('origin');
  });

  it('asks for the binary format where it is chosen', () => {
    const more = { wantsMessages: false, origin: 'any' } as const;
    expect(startCommand('s', ['p'], { ...more, format: { current: 'binary' } })).toMatch(/, binary 'true'\)$/);
    expect(startCommand('s', ['p'], { ...more, format: { current: 'text' } })).not.toContain('binary');
  });
});
