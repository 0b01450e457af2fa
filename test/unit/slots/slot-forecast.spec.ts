import { describe, expect, it } from '@jest/globals';
import { SlotForecast, type SlotMeasurement } from '#lib/slots/slot-forecast.js';

const MEASUREMENT: SlotMeasurement = {
  name: 'shop',
  atMs: 1_000_000,
  walEnd: 10_000n,
  restart: 4_000n,
  confirmed: 9_000n,
  isActive: true,
  safeBytes: null,
  inactiveSinceMs: null,
  idleTimeoutMs: 0,
  invalidated: null,
};

describe('what follows from measurements of a slot', () => {
  it('is how much log lies behind it', () => {
    const stats = new SlotForecast().add(MEASUREMENT);
    expect(stats).toMatchObject({ lagBytes: 1_000, retainedBytes: 6_000, walBytesPerSecond: null, safeBytes: null });
    expect(stats.measuredAt).toEqual(new Date(1_000_000));
  });

  it('is no lag where the position lies beyond the end of the log, as on a standby', () => {
    expect(new SlotForecast().add({ ...MEASUREMENT, confirmed: 11_000n }).lagBytes).toBe(0);
  });

  it('is nothing where the slot has no such position', () => {
    const stats = new SlotForecast().add({ ...MEASUREMENT, restart: null, confirmed: null });
    expect(stats).toMatchObject({ lagBytes: null, retainedBytes: null });
  });

  it('is how fast the log grows, from the second measurement on', () => {
    const forecast = new SlotForecast();
    forecast.add(MEASUREMENT);
    expect(forecast.add({ ...MEASUREMENT, atMs: 1_000_100, walEnd: 10_100n }).walBytesPerSecond).toBeNull();
    expect(forecast.add({ ...MEASUREMENT, atMs: 1_010_000, walEnd: 30_000n }).walBytesPerSecond).toBe(2_000);
  });

  it('is how fast it grows in the last five minutes', () => {
    const forecast = new SlotForecast();
    forecast.add(MEASUREMENT);
    // A burst that is long over.
    forecast.add({ ...MEASUREMENT, atMs: 1_010_000, walEnd: 1_000_000n });
    forecast.add({ ...MEASUREMENT, atMs: 1_200_000, walEnd: 1_000_000n });
    expect(forecast.add({ ...MEASUREMENT, atMs: 1_600_000, walEnd: 1_000_000n }).walBytesPerSecond).toBe(0);
  });

  it('keeps a bounded number of them, however often it is measured', () => {
    const forecast = new SlotForecast();
    for (let n = 0; n < 1_000; n++)
      forecast.add({ ...MEASUREMENT, atMs: 1_000_000 + n * 10, walEnd: 10_000n + BigInt(n) });
    expect((forecast as unknown as { kept: unknown[] }).kept.length).toBeLessThanOrEqual(62);
  });

  it('looks back as far, however often it is measured', () => {
    const forecast = new SlotForecast();
    let rate: number | null = null;
    // A burst in the first second of four minutes, measured ten times a second.
    for (let n = 0; n <= 2_400; n++) {
      const walEnd = n < 10 ? 10_000n + BigInt(n) * 240_000n : 2_410_000n;
      rate = forecast.add({ ...MEASUREMENT, atMs: 1_000_000 + n * 100, walEnd }).walBytesPerSecond;
    }
    expect(rate).toBe(10_000);
    expect((forecast as unknown as { kept: unknown[] }).kept.length).toBeLessThanOrEqual(62);
  });

  it('begins anew with another server, or one that was put back', () => {
    const forecast = new SlotForecast();
    forecast.add(MEASUREMENT);
    expect(forecast.add({ ...MEASUREMENT, atMs: 1_010_000, walEnd: 5_000n }).walBytesPerSecond).toBeNull();
  });

  it.each([
    ['nothing limits it', {}, Infinity],
    ['the log grows towards the limit', { safeBytes: 100_000 }, 100],
    ['the log does not grow', { safeBytes: 100_000, walEnd: 10_000n }, Infinity],
    ['the limit is passed', { safeBytes: -1 }, 0],
    ['nobody streams', { isActive: false, inactiveSinceMs: 1_005_000, idleTimeoutMs: 60_000 }, 55],
    ['nobody has streamed for too long', { isActive: false, inactiveSinceMs: 900_000, idleTimeoutMs: 60_000 }, 0],
    ['somebody streams, whatever the timeout', { inactiveSinceMs: 900_000, idleTimeoutMs: 60_000 }, Infinity],
    [
      'both limits are near: the sooner',
      { isActive: false, inactiveSinceMs: 1_005_000, idleTimeoutMs: 60_000, safeBytes: 10_000 },
      10,
    ],
    ['it is lost', { invalidated: 'wal_removed' }, 0],
  ])('is when it will be given up: %s', (_, more, seconds) => {
    const forecast = new SlotForecast();
    forecast.add(MEASUREMENT);
    const stats = forecast.add({ ...MEASUREMENT, atMs: 1_010_000, walEnd: 20_000n, ...more });
    expect(stats.secondsUntilInvalidated).toBe(seconds);
  });
});
