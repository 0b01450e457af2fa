import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { AckTracker, type AckUnit } from '#lib/replication/ack-tracker.js';

/** The same rules, said as simply as can be: the stream as a list, read from its start each time. */
class Model {
  readonly stream: ({ unit: AckUnit; end: bigint | null; settled: boolean } | bigint)[] = [];

  get units() {
    return this.stream.filter((each) => typeof each !== 'bigint');
  }

  keepalive(walEnd: bigint): void {
    if (this.units.at(-1)?.end !== null) this.stream.push(walEnd);
  }

  read(): { confirmable: bigint; settledEnd: bigint; unsettled: number } {
    let confirmable = 0n;
    let settledEnd = 0n;
    let isOpen = true;
    let unsettled = 0;
    for (const each of this.stream) {
      const isUnit = typeof each !== 'bigint';
      if (isUnit && !(each.settled && each.end !== null)) isOpen = false;
      if (isUnit && !(each.settled && each.end !== null)) unsettled++;
      if (!isOpen) continue;
      const end = isUnit ? each.end! : each;
      if (end > confirmable) confirmable = end;
      if (isUnit) settledEnd = end;
    }
    return { confirmable, settledEnd, unsettled };
  }
}

type Step = { kind: 'open' | 'close' | 'message'; gap: number } | { kind: 'settle' | 'keepalive'; gap: number };
const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom('open', 'close', 'message', 'settle', 'settle', 'keepalive'),
  gap: fc.nat(1_000),
});

function run(steps: readonly Step[], afterEach: (tracker: AckTracker, model: Model) => void): void {
  const tracker = new AckTracker();
  const model = new Model();
  let wal = 100n;
  let open: Model['units'][number] | undefined;
  for (const { kind, gap } of steps) {
    wal += BigInt(gap % 100);
    if (kind === 'open' && open === undefined) {
      open = { unit: tracker.open(), end: null, settled: false };
      model.stream.push(open);
    } else if (kind === 'close' && open !== undefined) {
      open.end = ++wal;
      tracker.close(open.unit, open.end);
      open = undefined;
    } else if (kind === 'message' && open === undefined) {
      const message = { unit: tracker.open(), end: ++wal, settled: false };
      tracker.close(message.unit, message.end);
      model.stream.push(message);
    } else if (kind === 'settle') {
      const { units } = model;
      const chosen = units[gap % Math.max(units.length, 1)];
      if (chosen === undefined) continue;
      tracker.settle(chosen.unit);
      chosen.settled = true;
    } else if (kind === 'keepalive') {
      tracker.keepalive(wal);
      model.keepalive(wal);
    }
    afterEach(tracker, model);
  }
}

describe('what may be confirmed, whatever happens in whatever order', () => {
  const steps = fc.array(step, { maxLength: 60 });

  it('is what the rules say', () => {
    fc.assert(
      fc.property(steps, (each) =>
        run(each, ({ confirmable, settledEnd, unsettled }, model) => {
          expect({ confirmable, settledEnd, unsettled }).toEqual(model.read());
        }),
      ),
      { numRuns: 1_000 },
    );
  });

  it('never decreases', () => {
    fc.assert(
      fc.property(steps, (each) => {
        let before = 0n;
        run(each, ({ confirmable }) => {
          expect(confirmable >= before).toBe(true);
          before = confirmable;
        });
      }),
    );
  });

  it('never passes a unit that is not settled, nor anything behind it', () => {
    fc.assert(
      fc.property(steps, (each) =>
        run(each, ({ confirmable }, { stream }) => {
          const blocking = stream.findIndex(
            (entry) => typeof entry !== 'bigint' && !(entry.settled && entry.end !== null),
          );
          if (blocking < 0) return;
          for (const entry of stream.slice(blocking)) {
            const end = typeof entry === 'bigint' ? entry : entry.end;
            if (end !== null && typeof entry !== 'bigint') expect(confirmable < end).toBe(true);
          }
        }),
      ),
    );
  });

  it('is nothing but positions that the server has sent: no +1, nothing in between', () => {
    fc.assert(
      fc.property(steps, (each) =>
        run(each, ({ confirmable }, { stream }) => {
          const sent = stream.map((entry) => (typeof entry === 'bigint' ? entry : entry.end));
          expect([0n, ...sent]).toContain(confirmable);
        }),
      ),
    );
  });
});
