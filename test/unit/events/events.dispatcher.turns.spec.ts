import { describe, expect, it, jest } from '@jest/globals';
import { turns, until } from '../waiting.js';
import { DispatcherBench } from './dispatcher-bench.js';

describe('many quick handlers', () => {
  it('leave the event loop its turns', async () => {
    let turned = 0;
    let isDone = false;
    const bench = new DispatcherBench([
      {
        run: () => {
          const end = performance.now() + 1;
          while (performance.now() < end);
        },
      },
    ]);
    const tick = (): void => {
      turned++;
      if (!isDone) setImmediate(tick);
    };
    setImmediate(tick);
    const transactions = bench.deliver(...Array.from({ length: 300 }, (_, index) => index + 1));
    await until(() => transactions.every(({ settled }) => settled === 1), 'all transactions');
    isDone = true;
    expect(turned).toBeGreaterThan(2);
  });

  it.each([
    ['slow', 8, 6],
    ['quick', 0.1, 260],
  ])('leave it a turn after some twenty milliseconds, whether each is %s', async (_name, lasts, most) => {
    let now = 1_000;
    const clock = jest.spyOn(performance, 'now').mockImplementation(() => now);
    try {
      let handled = 0;
      const run = () => {
        now += lasts;
        handled++;
      };
      const bench = new DispatcherBench([{ run }]);
      bench.deliver(1);
      for (let round = 0; round < 5; round++) {
        bench.dispatcher.turn();
        const before = handled;
        bench.deliver(...Array.from({ length: 1_000 }, (_, index) => 1_000 * round + index + 2));
        expect(handled - before).toBeLessThanOrEqual(most);
        bench.dispatcher.abort();
        await turns();
      }
    } finally {
      clock.mockRestore();
    }
  });

  it('run through where each read is short: the event loop has its turn between reads anyway', async () => {
    let now = 1_000;
    const clock = jest.spyOn(performance, 'now').mockImplementation(() => now);
    try {
      const bench = new DispatcherBench([{ run: () => void now++ }]);
      for (let read = 0; read < 40; read++) {
        bench.dispatcher.turn();
        const transactions = bench.deliver(...[1, 2, 3, 4, 5].map((id) => read * 5 + id));
        expect(transactions.map(({ settled }) => settled)).toEqual([1, 1, 1, 1, 1]);
        await new Promise((resolve) => setImmediate(resolve));
      }
    } finally {
      clock.mockRestore();
    }
  });

  it('give the event loop its turn where reads follow each other without one, as those of a paused socket do', () => {
    let now = 1_000;
    const clock = jest.spyOn(performance, 'now').mockImplementation(() => now);
    try {
      const bench = new DispatcherBench([{ run: () => void now++ }]);
      const settled: number[] = [];
      for (let read = 0; read < 40; read++) {
        bench.dispatcher.turn();
        settled.push(...bench.deliver(read).map((transaction) => transaction.settled));
      }
      expect(settled.filter((times) => times === 1).length).toBeLessThan(30);
      bench.dispatcher.abandon();
    } finally {
      clock.mockRestore();
    }
  });
});
