import { quantile } from './statistics.mjs';

/** Rows that warm the consumer up and are not counted. */
const WARM_UP = 1_500;

/** Takes rows whose status is the moment of their writing, in nanoseconds of the machine's monotonic clock. */
export class LatencyTally {
  count = 0;
  sum = 0;
  #latencies;

  constructor(expected) {
    this.expected = expected;
    this.#latencies = new Float64Array(expected);
    this.done = new Promise((resolve) => (this.finish = resolve));
  }

  row({ id, status }) {
    const now = process.hrtime.bigint();
    this.#latencies[this.count] = Number(now - BigInt(status)) / 1e6;
    this.sum += Number(id);
    if (++this.count === this.expected) this.finish();
  }

  report() {
    const counted = this.#latencies.subarray(Math.min(WARM_UP, this.expected >> 1), this.count);
    return {
      count: this.count,
      sum: this.sum,
      p50: quantile(counted, 0.5),
      p99: quantile(counted, 0.99),
      p999: quantile(counted, 0.999),
    };
  }
}
