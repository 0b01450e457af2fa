import { describe, expect, it } from '@jest/globals';
import type { Client } from 'pg';
import { SlotError } from '#lib/errors/replication.error.js';
import { SlotManager } from '#lib/slots/slot-manager.js';

const TARGET = { app: 'default', connection: { host: '127.0.0.1', database: 'shop' } };

/**
 * The catalogue at one instant. A real server shows a slot without its plugin only for microseconds while it is made,
 * and nothing can hold it there.
 */
function inspect(
  row: { plugin: string | null; holder: string | null; wal_status?: string; reason?: string; two_phase?: boolean },
  twoPhase = false,
): ReturnType<SlotManager['inspect']> {
  const catalogue = {
    database: 'shop',
    current_database: 'shop',
    active: row.holder !== null,
    wal_status: null,
    confirmed: null,
    two_phase: false,
    failover: null,
    reason: null,
    ...row,
  };
  const client = { query: () => Promise.resolve({ rows: [catalogue] }) } as unknown as Client;
  return new SlotManager(TARGET as ConstructorParameters<typeof SlotManager>[0], 'shop', twoPhase).inspect(client);
}

describe('a slot that is found', () => {
  it('is in use while another process is making it and its plugin is not told yet', async () => {
    await expect(inspect({ plugin: '', holder: 'pid 7' })).resolves.toMatchObject({
      confirmedLsn: 0n,
      holder: 'pid 7',
    });
  });

  it('is in use when its plugin is told and its position is not', async () => {
    await expect(inspect({ plugin: 'pgoutput', holder: 'pid 7' })).resolves.toMatchObject({
      confirmedLsn: 0n,
      holder: 'pid 7',
    });
  });

  it('was invalidated where the server says lost, for the reason that newer servers give', async () => {
    const lost = { plugin: 'pgoutput', holder: null, wal_status: 'lost' };
    await expect(inspect(lost)).resolves.toMatchObject({ invalidated: 'wal_removed' });
    await expect(inspect({ ...lost, reason: 'idle_timeout' })).resolves.toMatchObject({ invalidated: 'idle_timeout' });
  });

  it('is refused where it sends what is prepared and nobody asked for it, and the other way round', async () => {
    const slot = { plugin: 'pgoutput', holder: null };
    await expect(inspect({ ...slot, two_phase: true }, true)).resolves.toMatchObject({ holder: null });
    await expect(inspect({ ...slot, two_phase: true })).rejects.toThrow(/which nobody asked for/);
    await expect(inspect(slot, true)).rejects.toThrow(/`twoPhase` is set, but the slot "shop" .* was made without it/);
  });

  it.each([[null], ['test_decoding'], ['']])('is refused with the plugin %p where nobody makes it', async (plugin) => {
    await expect(inspect({ plugin, holder: null })).rejects.toThrow(SlotError);
  });
});
