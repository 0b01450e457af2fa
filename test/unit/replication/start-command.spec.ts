import { describe, expect, it } from '@jest/globals';
import { startCommand } from '#lib/replication/start-command.js';

describe('the command that starts a stream', () => {
  it('is always from 0/0: the slot knows better than we do where it stands', () => {
    expect(startCommand('shop', ['pg_listener_shop'], false)).toBe(
      `START_REPLICATION SLOT "shop" LOGICAL 0/0 (proto_version '1', publication_names '"pg_listener_shop"')`,
    );
  });

  it('takes publications by whatever names they have', () => {
    expect(startCommand('shop', ['a "b"', "c'd", 'e,f'], false)).toContain(
      `publication_names '"a ""b""","c''d","e,f"')`,
    );
  });

  it('asks for logical messages only where somebody handles them', () => {
    expect(startCommand('shop', ['one'], true)).toContain(`, messages 'true')`);
    expect(startCommand('shop', ['one'], false)).not.toContain('messages');
  });
});
