import { byId } from './dom.js';

const KEPT = 48;

/** How long the last changes took from their commit to this page. */
export class Latency {
  #toScreen = [];
  #toBrowser = [];
  #seen = 0;
  #lsn;

  add({ lsn }, toScreen, toBrowser) {
    this.#seen++;
    this.#lsn = lsn;
    keep(this.#toScreen, toScreen);
    keep(this.#toBrowser, toBrowser);
  }

  show() {
    if (this.#seen === 0) return;
    const count = this.#toScreen.length;
    byId('median').textContent = milliseconds(this.#toScreen, 0.5);
    byId('spread').textContent =
      count === 1 ? 'one change' : `median of ${count}; 95% within ${milliseconds(this.#toScreen, 0.95)}`;
    byId('arrival').textContent = milliseconds(this.#toBrowser, 0.5);
    byId('seen').textContent = this.#seen.toLocaleString();
    byId('last-lsn').textContent = this.#lsn;
    this.#draw();
  }

  #draw() {
    const spark = byId('spark');
    while (spark.children.length < KEPT) spark.append(document.createElement('i'));
    const highest = Math.max(10, ...this.#toScreen);
    const free = KEPT - this.#toScreen.length;
    [...spark.children].forEach((bar, place) => {
      const ms = this.#toScreen[place - free];
      bar.style.height = ms === undefined ? '' : `${Math.max(6, (ms / highest) * 100)}%`;
    });
  }
}

function keep(times, ms) {
  times.push(ms);
  if (times.length > KEPT) times.shift();
}

function milliseconds(times, share) {
  const sorted = times.toSorted((a, b) => a - b);
  return `${sorted[Math.ceil(share * sorted.length) - 1].toLocaleString()} ms`;
}
