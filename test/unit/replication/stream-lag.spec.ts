import { describe, expect, it } from '@jest/globals';
import { StreamLag } from '#lib/replication/stream-lag.js';

const DONE = { oldestMs: null, hasReceived: true, silentSinceMs: null };

describe('how far a stream is behind', () => {
  it('is not known before the first one', () => {
    expect(new StreamLag().seconds(null, 5_000)).toBeNull();
    expect(new StreamLag().seconds({ oldestMs: null, hasReceived: false, silentSinceMs: null }, 5_000)).toBe(0);
  });

  it('is the age of the oldest change that is not finished', () => {
    expect(new StreamLag().seconds({ oldestMs: 2_000, hasReceived: true, silentSinceMs: null }, 5_500)).toBe(3.5);
  });

  it('is 0 where the clock of the server is ahead', () => {
    expect(new StreamLag().seconds({ oldestMs: 9_000, hasReceived: true, silentSinceMs: null }, 5_500)).toBe(0);
  });

  it('is what lay between commit and sending of what has just come, though all of it is finished', () => {
    const lag = new StreamLag();
    lag.read(1, 3_600_000, 10_000);
    expect(lag.seconds(DONE, 10_500)).toBe(3_600);
    // Keepalives are no changes.
    lag.read(1, 3_600_000, 12_500);
    expect(lag.seconds(DONE, 12_600)).toBe(0);
  });

  it('grows without a stream, until the next one has brought something', () => {
    const lag = new StreamLag();
    lag.ended(DONE, 10_000);
    expect(lag.seconds(null, 13_000)).toBe(3);
    const next = { oldestMs: null, hasReceived: false, silentSinceMs: null };
    expect(lag.seconds(next, 14_000)).toBe(4);
    // One that ends before.
    lag.ended(next, 14_000);
    expect(lag.seconds(null, 15_000)).toBe(5);
    expect(lag.seconds(DONE, 15_000)).toBe(0);
    lag.ended(DONE, 16_000);
    expect(lag.seconds(null, 17_000)).toBe(1);
  });

  it('goes on from what the last stream left unfinished', () => {
    const lag = new StreamLag();
    lag.ended({ oldestMs: 4_000, hasReceived: true, silentSinceMs: null }, 10_000);
    expect(lag.seconds(null, 11_000)).toBe(7);
  });

  it('counts from when a server was heard last that has fallen silent, also after the end of its stream', () => {
    const lag = new StreamLag();
    const silent = { ...DONE, silentSinceMs: 10_000 };
    expect(lag.seconds(silent, 45_000)).toBe(35);
    expect(lag.seconds({ ...silent, oldestMs: 9_000 }, 45_000)).toBe(36);
    lag.ended(silent, 130_000);
    expect(lag.seconds(null, 131_000)).toBe(121);
  });

  it('is not known where another process has the stream', () => {
    const lag = new StreamLag();
    lag.ended(DONE, 10_000);
    lag.forget();
    expect(lag.seconds(null, 11_000)).toBeNull();
  });
});
