/** Where EventSource has given up by itself. */
const RETRY_MS = 2_000;
/** Commits of which a repetition is known. */
const REMEMBERED = 10_000;

/**
 * The changes, as the server sends them, and the rows to begin with.
 *
 * The stream has no memory: what happens while this page is away, it does not hear. So each time the connection opens,
 * the rows are read anew. Changes that arrive meanwhile wait; the rows may contain some of them already, and applying
 * those again does no harm: in the end each row is what its last change says.
 *
 * At least once: what was not confirmed when the application died is sent again. Such a change is known by its place.
 */
export class Stream {
  #listeners;
  #waiting = [];
  #hasRows = false;
  #isScheduled = false;
  /** Counts up when a connection opens or ends: rows that an earlier one asked for come too late. */
  #connection = 0;
  /** By commit: the index of the last change that was handed on. */
  #lastIndexes = new Map();

  constructor(listeners) {
    this.#listeners = listeners;
  }

  open() {
    const source = new EventSource('changes');
    source.addEventListener('open', () => {
      this.#waiting = [];
      this.#readRows(++this.#connection);
    });
    source.addEventListener('status', ({ data }) => this.#listeners.onStatus(JSON.parse(data)));
    source.addEventListener('change', ({ data }) => {
      this.#waiting.push({ ...JSON.parse(data), arrivedAt: Date.now() });
      this.#schedule();
    });
    source.addEventListener('error', () => {
      this.#connection++;
      this.#hasRows = false;
      this.#listeners.onStatus({ state: 'unreachable' });
      if (source.readyState === EventSource.CLOSED) setTimeout(() => this.open(), RETRY_MS);
    });
  }

  async #readRows(connection) {
    if (connection !== this.#connection) return;
    try {
      const response = await fetch('orders');
      if (!response.ok) throw new Error(`HTTP ${response.status}`);
      const rows = await response.json();
      if (connection !== this.#connection) return;
      this.#listeners.onRows(rows);
    } catch {
      // The database is away, or the server: again, as long as this connection is the one that counts.
      setTimeout(() => this.#readRows(connection), RETRY_MS);
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
      if (!this.#hasRows) return;
      const changes = this.#waiting.splice(0).filter((change) => this.#isNew(change));
      if (changes.length > 0) this.#listeners.onChanges(changes);
    };
    if (document.hidden) setTimeout(flush);
    else requestAnimationFrame(flush);
  }

  /** An LSN alone says too little: the database behind the page may have been set up anew. */
  #isNew({ lsn, commitTimestamp, index }) {
    const commit = `${lsn} ${commitTimestamp}`;
    if (index <= (this.#lastIndexes.get(commit) ?? -1)) return false;
    this.#lastIndexes.set(commit, index);
    if (this.#lastIndexes.size > REMEMBERED) this.#lastIndexes.delete(this.#lastIndexes.keys().next().value);
    return true;
  }
}
