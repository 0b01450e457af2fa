import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { PositionRecorder } from '#lib/slots/position-recorder.js';

const MIB = 1_048_576n;

/** A recorder whose writes the spec completes by hand. */
class Bench {
  confirmable = 0n;
  deliveredEnd = 0n;
  readonly written: bigint[] = [];
  readonly failures: Error[] = [];
  confirmations = 0;
  private answers: { resolve: () => void; reject: (error: Error) => void }[] = [];
  readonly recorder = new PositionRecorder(1_000n, {
    position: () => ({ confirmable: this.confirmable, deliveredEnd: this.deliveredEnd }),
    write: (lsn) => {
      this.written.push(lsn);
      return new Promise((resolve, reject) => this.answers.push({ resolve, reject }));
    },
    recorded: () => void this.confirmations++,
    failed: (error) => this.failures.push(error),
  });

  deliver(lsn: bigint): void {
    this.confirmable = this.deliveredEnd = lsn;
    this.recorder.check();
  }
  /** @param error the write fails with it */
  async answer(error?: Error): Promise<void> {
    const { resolve, reject } = this.answers.shift()!;
    if (error === undefined) resolve();
    else reject(error);
    await jest.advanceTimersByTimeAsync(0);
  }
}

let bench: Bench;
beforeEach(() => {
  jest.useFakeTimers();
  bench = new Bench();
});
afterEach(() => {
  bench.recorder.close();
  jest.useRealTimers();
});

describe('a position', () => {
  it('may be confirmed when it is durable, not when it is written', async () => {
    bench.deliver(2_000n);
    expect(bench.written).toEqual([2_000n]);
    expect(bench.recorder.recorded).toBe(1_000n);
    expect(bench.confirmations).toBe(0);
    await bench.answer();
    expect(bench.recorder.recorded).toBe(2_000n);
    expect(bench.confirmations).toBe(1);
  });

  it('is recorded at most once a second, and then the latest', async () => {
    bench.deliver(2_000n);
    await bench.answer();
    for (let lsn = 2_001n; lsn <= 2_010n; lsn++) {
      bench.deliver(lsn);
      await jest.advanceTimersByTimeAsync(10);
    }
    expect(bench.written).toEqual([2_000n]);
    await jest.advanceTimersByTimeAsync(900);
    expect(bench.written).toEqual([2_000n, 2_010n]);
  });

  it('is never written while another one is', async () => {
    bench.deliver(2_000n);
    await jest.advanceTimersByTimeAsync(5_000);
    bench.deliver(3_000n);
    await jest.advanceTimersByTimeAsync(5_000);
    expect(bench.written).toEqual([2_000n]);
    await bench.answer();
    expect(bench.written).toEqual([2_000n, 3_000n]);
  });

  it('that nobody has handled anything of is recorded in steps of 1 MiB', async () => {
    bench.confirmable = 1_000n + MIB - 1n;
    bench.recorder.check();
    await jest.advanceTimersByTimeAsync(10_000);
    expect(bench.written).toEqual([]);
    bench.confirmable++;
    bench.recorder.check();
    expect(bench.written).toEqual([1_000n + MIB]);
  });

  it('takes what lies behind the last delivery along', () => {
    bench.deliveredEnd = 1_500n;
    bench.confirmable = 1_700n;
    bench.recorder.check();
    expect(bench.written).toEqual([1_700n]);
  });
});

describe('a record that fails', () => {
  it('is told once, and nothing is recorded any more', async () => {
    bench.deliver(2_000n);
    await bench.answer(new Error('gone'));
    bench.deliver(3_000n);
    await jest.advanceTimersByTimeAsync(5_000);
    expect(bench.failures).toEqual([new Error('gone')]);
    expect(bench.written).toEqual([2_000n]);
    expect(bench.recorder.recorded).toBe(1_000n);
  });

  it('is not told when the stream has ended already', async () => {
    bench.deliver(2_000n);
    bench.recorder.close();
    await bench.answer(new Error('gone'));
    expect(bench.failures).toEqual([]);
  });
});

describe('the end', () => {
  it('waits for the write that is under way, and records the last position, small as the step may be', async () => {
    bench.deliver(2_000n);
    bench.confirmable = 2_001n;
    const finished = bench.recorder.finish();
    await bench.answer();
    expect(bench.written).toEqual([2_000n, 2_001n]);
    await bench.answer();
    await finished;
    expect(bench.recorder.recorded).toBe(2_001n);
  });

  it('writes nothing where nothing is new', async () => {
    bench.confirmable = 1_000n;
    await bench.recorder.finish();
    expect(bench.written).toEqual([]);
  });

  it('waits no longer than two seconds for a path that has gone dark', async () => {
    bench.deliver(2_000n);
    let isFinished = false;
    void bench.recorder.finish().then(() => (isFinished = true));
    await jest.advanceTimersByTimeAsync(1_900);
    expect(isFinished).toBe(false);
    await jest.advanceTimersByTimeAsync(200);
    expect(isFinished).toBe(true);
    expect(bench.recorder.recorded).toBe(1_000n);
  });
});
