import { describe, expect, it } from '@jest/globals';
import { SlotError } from '#lib/errors/replication.error.js';
import { refuseForeignSlot } from '#lib/slots/slot-owner.js';
import type { SlotOwner } from '#lib/slots/slot-record.js';

const TARGET = { app: 'default', connection: { host: '127.0.0.1', port: 5432, user: 'app', database: 'shop' } };
const check = (recorded: SlotOwner | null, mine: SlotOwner): void =>
  refuseForeignSlot('shop', recorded, mine, TARGET as Parameters<typeof refuseForeignSlot>[3]);

describe('the owner of a slot', () => {
  it.each<[string, SlotOwner | null, SlotOwner]>([
    ['nobody', null, { service: 'shop', app: 'default' }],
    ['the same one', { service: 'shop', app: 'default' }, { service: 'shop', app: 'default' }],
    ['one whose service was not known', { service: null, app: 'default' }, { service: 'shop', app: 'default' }],
    ['one, while ours is not known', { service: 'shop', app: 'default' }, { service: null, app: 'default' }],
  ])('lets us have it: %s', (_, recorded, mine) => {
    expect(() => check(recorded, mine)).not.toThrow();
  });

  it('refuses another service, and says whose it is and how to mend it', () => {
    const attempt = (): void => check({ service: "it's", app: 'default' }, { service: 'shop', app: 'default' });
    expect(attempt).toThrow(SlotError);
    expect(attempt).toThrow(/belongs to the service "it's", not to the service "shop"/);
    expect(attempt).toThrow(
      `UPDATE nestjs_pg_listener.slots SET service = 'shop', app = 'default' WHERE slot_name = 'shop';`,
    );
  });

  it('refuses another app of the same service', () => {
    const attempt = (): void => check({ service: 'shop', app: 'billing' }, { service: null, app: 'default' });
    expect(attempt).toThrow(/belongs to the app "billing", not to the app "default"/);
    expect(attempt).toThrow(`SET service = 'shop', app = 'default' WHERE`);
  });
});
