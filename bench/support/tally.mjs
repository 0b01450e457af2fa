/** Milliseconds between looks at the memory of the process. */
const LOOK_MS = 50;

/**
 * Counts and sums what a consumer is given, and keeps the time from the first row to the last: what a consumer leaves out,
 * or does not decode, shows in the sum of the ids or in the number of characters.
 */
export class Tally {
  count = 0;
  sum = 0;
  characters = 0;
  #first;
  #last;
  #memoryAtStart = 0;
  #memoryPeak = 0;
  #heapPeak = 0;
  #timer;

  constructor(expected) {
    this.expected = expected;
    this.done = new Promise((resolve) => (this.finish = resolve));
  }

  /** One row with every column read. Deletes bring the key alone. */
  row({ id, customer, amount, status }) {
    if (this.count === 0) this.begin();
    this.sum += Number(id);
    if (typeof status === 'string') this.characters += status.length + String(amount).length + (Number(customer) & 1);
    if (++this.count === this.expected) this.end();
  }

  begin() {
    this.#look();
    this.#memoryAtStart = process.memoryUsage.rss();
    this.#timer = setInterval(() => this.#look(), LOOK_MS);
    this.#first = { time: performance.now(), cpu: process.cpuUsage() };
  }

  end() {
    this.#last = { time: performance.now(), cpu: process.cpuUsage(this.#first.cpu) };
    clearInterval(this.#timer);
    this.#look();
    this.finish();
  }

  report() {
    const { time, cpu } = this.#last;
    return {
      count: this.count,
      sum: this.sum,
      characters: this.characters,
      seconds: (time - this.#first.time) / 1_000,
      cpuSeconds: (cpu.user + cpu.system) / 1e6,
      memoryGrowth: this.#memoryPeak - this.#memoryAtStart,
      memoryPeak: this.#memoryPeak,
      heapPeak: this.#heapPeak,
    };
  }

  #look() {
    const { heapUsed } = process.memoryUsage();
    // The kernel's own mark: a timer cannot look while the event loop is held up.
    this.#memoryPeak = process.resourceUsage().maxRSS * 1024;
    this.#heapPeak = Math.max(this.#heapPeak, heapUsed);
  }
}
