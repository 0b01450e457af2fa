import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import fc from 'fast-check';
import { Liveness } from '#lib/replication/liveness.js';

class RecordingPort {
  readonly sent: { at: number; lsn: bigint; replyRequested: boolean }[] = [];
  readonly began = Date.now();
  position = 0n;
  reading = true;
  suspicions = 0;
  deadAfter: number[] = [];

  confirmable = (): bigint => this.position;
  send = (lsn: bigint, replyRequested: boolean): void => {
    this.sent.push({ at: Date.now() - this.began, lsn, replyRequested });
  };
  isReading = (): boolean => this.reading;
  shutdownSuspected = (): void => {
    this.suspicions++;
  };
  dead = (silentMs: number): void => {
    this.deadAfter.push(silentMs);
  };
}

let port: RecordingPort;
let liveness: Liveness;

function startWith(walSenderTimeoutMs: number): void {
  port = new RecordingPort();
  liveness = new Liveness({ walSenderTimeoutMs }, port);
  liveness.start();
}

/** Lets time pass while the server is heard now and then. */
function passHearing(ms: number, every = 100): void {
  for (let passed = 0; passed < ms; passed += every) {
    jest.advanceTimersByTime(Math.min(every, ms - passed));
    liveness.heard();
  }
}

beforeEach(() => {
  jest.useFakeTimers();
  startWith(60_000);
});
afterEach(() => {
  liveness.close();
  jest.useRealTimers();
});

describe('status updates', () => {
  it('go out on time without any news, well within the timeout of any server', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1_000, max: 300_000 }), (timeout) => {
        startWith(timeout);
        passHearing(timeout * 3, Math.max(1, Math.floor(timeout / 10)));
        liveness.close();
        const times = [0, ...port.sent.map(({ at }) => at)];
        const gaps = times.slice(1).map((time, index) => time - times[index]!);
        expect(Math.max(...gaps)).toBeLessThanOrEqual(timeout / 2 + 1);
        expect(timeout * 3 - times.at(-1)!).toBeLessThanOrEqual(timeout / 2 + 1);
      }),
      { numRuns: 50 },
    );
  });

  it('go out as well to a server that waits for ever', () => {
    startWith(0);
    passHearing(30_000);
    expect(port.sent.map(({ at }) => at)).toEqual([10_000, 20_000, 30_000]);
  });

  it('tell a new position within a second, and once', () => {
    passHearing(500);
    port.position = 7n;
    passHearing(3_000);
    expect(port.sent).toEqual([{ at: 1_000, lsn: 7n, replyRequested: false }]);
    expect(liveness.confirmedLsn).toBe(7n);
  });

  it('are not sent for each of many positions', () => {
    for (let index = 0; index < 1_000; index++) {
      port.position++;
      passHearing(10, 10);
    }
    expect(port.sent.length).toBeLessThanOrEqual(10);
    expect(port.sent.at(-1)!.lsn).toBe(1_000n);
  });

  it('go out at once where they are flushed, if the position has moved', () => {
    liveness.flush();
    expect(port.sent).toEqual([]);
    port.position = 7n;
    liveness.flush();
    liveness.flush();
    expect(port.sent).toEqual([{ at: 0, lsn: 7n, replyRequested: false }]);
  });

  it('end when it is closed, and no timer is left', () => {
    passHearing(500);
    liveness.replyRequested(1n);
    liveness.replyRequested(1n);
    liveness.close();
    const before = port.sent.length;
    expect(jest.getTimerCount()).toBe(0);
    port.position = 9n;
    jest.advanceTimersByTime(100_000);
    expect(port.sent).toHaveLength(before);
  });
});

describe('a requested reply', () => {
  it('goes out at once where there is news', () => {
    passHearing(50, 50);
    for (const position of [1n, 2n, 3n]) {
      port.position = position;
      liveness.replyRequested(position);
    }
    expect(port.sent.map(({ at, lsn }) => [at, lsn])).toEqual([
      [50, 1n],
      [50, 2n],
      [50, 3n],
    ]);
  });

  it('goes out at once without news where none went out lately', () => {
    passHearing(500);
    liveness.replyRequested(1n);
    expect(port.sent).toEqual([{ at: 500, lsn: 0n, replyRequested: false }]);
  });

  it('goes out at most once in 100 ms without news, to a server that asks without pause', () => {
    passHearing(500);
    for (let index = 0; index < 20_000; index++) {
      liveness.replyRequested(BigInt(index));
      if (index % 20 === 0) passHearing(1, 1);
    }
    const times = port.sent.map(({ at }) => at);
    const gaps = times.slice(1).map((time, index) => time - times[index]!);
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(100);
    expect(times.length).toBeGreaterThanOrEqual(10);
    expect(times.length).toBeLessThanOrEqual(12);
  });

  it('that had to wait goes out with what may be confirmed by then, once', () => {
    passHearing(500);
    liveness.replyRequested(1n);
    passHearing(40, 40);
    liveness.replyRequested(1n);
    liveness.replyRequested(1n);
    port.position = 5n;
    passHearing(60, 60);
    expect(port.sent).toEqual([
      { at: 500, lsn: 0n, replyRequested: false },
      { at: 600, lsn: 5n, replyRequested: false },
    ]);
  });

  it('that had to wait does not keep the next one from going out', () => {
    passHearing(500);
    for (let index = 0; index < 3; index++) {
      liveness.replyRequested(1n);
      passHearing(90, 90);
    }
    passHearing(200);
    expect(port.sent.map(({ at }) => at)).toEqual([500, 600, 700]);
  });

  it('does not go out twice where news overtook it', () => {
    passHearing(500);
    liveness.replyRequested(1n);
    passHearing(40, 40);
    liveness.replyRequested(1n);
    port.position = 5n;
    liveness.replyRequested(2n);
    passHearing(300, 100);
    expect(port.sent.map(({ at }) => at)).toEqual([500, 540]);
  });
});

describe('a server that shuts down', () => {
  it('is suspected after five requests at one WAL end, and not before', () => {
    for (let index = 0; index < 4; index++) liveness.replyRequested(9n);
    expect(port.suspicions).toBe(0);
    liveness.replyRequested(9n);
    expect(port.suspicions).toBe(1);
    for (let index = 0; index < 100; index++) liveness.replyRequested(9n);
    expect(port.suspicions).toBe(1);
  });

  it('is not suspected where the WAL end moves', () => {
    for (let index = 0; index < 100; index++) liveness.replyRequested(BigInt(index >> 1));
    expect(port.suspicions).toBe(0);
  });

  it('is not suspected where the requests are seconds apart', () => {
    for (let index = 0; index < 20; index++) {
      liveness.replyRequested(9n);
      passHearing(300);
    }
    expect(port.suspicions).toBe(0);
  });
});

describe('silence', () => {
  it('makes it ask for a sign of life, and then gives the connection up', () => {
    jest.advanceTimersByTime(119_000);
    expect(port.deadAfter).toEqual([]);
    expect(port.sent.every(({ replyRequested }) => replyRequested)).toBe(true);
    expect(port.sent.length).toBeGreaterThan(5);
    jest.advanceTimersByTime(2_000);
    expect(port.deadAfter[0]).toBeGreaterThan(120_000);
  });

  it('is over as soon as anything is heard', () => {
    jest.advanceTimersByTime(119_000);
    liveness.heard();
    const asked = port.sent.length;
    jest.advanceTimersByTime(9_000);
    liveness.heard();
    jest.advanceTimersByTime(2_000);
    expect(port.deadAfter).toEqual([]);
    expect(port.sent.slice(asked).every(({ replyRequested }) => !replyRequested)).toBe(true);
  });

  it('says nothing while we do not read: status goes on', () => {
    port.reading = false;
    jest.advanceTimersByTime(600_000);
    expect(port.deadAfter).toEqual([]);
    expect(port.sent.length).toBeGreaterThanOrEqual(59);
    port.reading = true;
    jest.advanceTimersByTime(119_000);
    expect(port.deadAfter).toEqual([]);
    jest.advanceTimersByTime(3_000);
    expect(port.deadAfter.length).toBeGreaterThan(0);
  });

  it('says nothing where the event loop was held up', () => {
    jest.advanceTimersByTime(1_000);
    jest.setSystemTime(Date.now() + 600_000);
    jest.advanceTimersByTime(1_000);
    expect(port.deadAfter).toEqual([]);
  });
});
