/** Where EventSource has given up by itself. */
const RETRY_MS = 2_000;

/**
 * The changes, as the server sends them, and the rows to begin with.
 *
 * The stream has no memory: what happens while this page is away, it does not hear. So each time the connection opens,
 * the rows are read anew. Changes that arrive meanwhile wait; the rows may contain some of them already, and applying
 * those again does no harm: in the end each row is what its last change says.
 */
export class Stream {
  #listeners;
  #waiting = [];
  #hasRows = false;
  #isScheduled = false;

  constructor(listeners) {
    this.#listeners = listeners;
  }

  open() {
    const source = new EventSource('changes');
    source.addEventListener('open', () => this.#readRows(source));
    source.addEventListener('status', ({ data }) => this.#listeners.onStatus(JSON.parse(data)));
    source.addEventListener('change', ({ data }) => {
      this.#waiting.push({ ...JSON.parse(data), arrivedAt: Date.now() });
      this.#schedule();
    });
    source.addEventListener('error', () => {
      this.#hasRows = false;
      this.#listeners.onStatus({ state: 'unreachable' });
      if (source.readyState === EventSource.CLOSED) setTimeout(() => this.open(), RETRY_MS);
    });
  }

  async #readRows(source) {
    this.#hasRows = false;
    this.#waiting = [];
    try {
      const response = await fetch('orders');
      if (!response.ok) throw new Error(`HTTP ${response.status}`);
      this.#listeners.onRows(await response.json());
    } catch {
      // The database is away, or the server: again, as long as this connection is the one that counts.
      if (source.readyState === EventSource.OPEN) setTimeout(() => this.#readRows(source), RETRY_MS);
      return;
    }
    this.#hasRows = true;
    this.#schedule();
  }

  /** Once for each frame, however many there are. A hidden page has no frames. */
  #schedule() {
    if (this.#isScheduled || !this.#hasRows || this.#waiting.length === 0) return;
    this.#isScheduled = true;
    const flush = () => {
      this.#isScheduled = false;
      if (this.#hasRows) this.#listeners.onChanges(this.#waiting.splice(0));
    };
    if (document.hidden) setTimeout(flush);
    else requestAnimationFrame(flush);
  }
}
