import { byId, fromTemplate, setValue } from './dom.js';
import { keepingPlaces, leave } from './motion.js';

/** As many rows as GET /orders brings. */
const SHOWN = 200;
/** How long the values before stand beside those of now. */
const REMEMBER_MS = 12_000;
/** How long a deleted row stays to be seen. */
const FAREWELL_MS = 1_800;

const NONE = 'No orders. Insert one, here or with psql.';
const OLDER = 'None of the orders shown here is left. Reload the page to see older ones.';

const COLUMNS = ['customer', 'item', 'quantity', 'amount', 'status'];
const OPEN_STATES = new Set(['new', 'paid', 'packed', 'shipped']);
const WORDS = { insert: 'inserted', update: 'updated', delete: 'deleted' };

/** The table of orders, the newest first. */
export class Board {
  #body = byId('rows');
  /** By id: the row, its element, and the timer that ends what it remembers. */
  #entries = new Map();
  #calm = false;
  /** The table holds older rows, which are not shown. */
  #isPartial = false;

  get newestId() {
    return this.#entries.size === 0 ? undefined : Math.max(...this.#entries.keys());
  }

  isOpen(id) {
    return OPEN_STATES.has(this.#entries.get(id)?.row.status);
  }

  someId({ open = false } = {}) {
    const ids = [...this.#entries.keys()].filter((id) => !open || this.isOpen(id));
    return ids[Math.floor(Math.random() * ids.length)];
  }

  onAction(listener) {
    this.#body.addEventListener('click', ({ target }) => {
      const button = target.closest('button[data-action]');
      if (button !== null) listener(button.dataset.action, Number(button.closest('tr').dataset.id));
    });
  }

  load(rows) {
    this.#clear();
    for (const row of rows) this.#put(row);
    this.#isPartial = rows.length >= SHOWN;
    this.#count();
  }

  /** Runs what changes the board; rows that have to make room glide there. */
  move(isAnimated, changeBoard) {
    this.#calm = !isAnimated;
    if (isAnimated) keepingPlaces(this.#body, changeBoard);
    else changeBoard();
    this.#count();
  }

  apply(change, ms) {
    const { operation, record, oldRecord } = change;
    if (operation === 'truncate') return this.#clear();
    if (operation === 'delete') return this.#remove(oldRecord?.id, change, ms);
    // An UPDATE may give a row another key.
    if (oldRecord?.id !== undefined && oldRecord.id !== record.id) this.#drop(oldRecord.id);
    const entry = this.#put(record, change);
    this.#tell(entry, change, ms);
  }

  #put(record, change) {
    const entry = this.#entries.get(record.id) ?? this.#create(record.id);
    // A large value that an update did not touch is not sent: the row keeps the one it has.
    entry.row = { ...entry.row, ...record };
    this.#fill(entry, change);
    return entry;
  }

  /** Draws the row; with an update, the values before beside those of now. */
  #fill({ row, element }, change) {
    const changed = change?.changedColumns ?? [];
    for (const column of COLUMNS) {
      const cell = element.querySelector(`[data-column="${column}"]`);
      setValue(cell, column, row[column], changed.includes(column) ? change.oldRecord[column] : undefined);
    }
    element.dataset.status = row.status;
    element.querySelector('[data-action="advance"]').disabled = !OPEN_STATES.has(row.status);
  }

  #create(id) {
    const element = fromTemplate('row-template');
    element.dataset.id = id;
    element.querySelector('.id').textContent = `#${id}`;
    for (const button of element.querySelectorAll('button')) button.ariaLabel = `Order ${id}: ${button.title}`;
    const below = [...this.#body.children].find((each) => Number(each.dataset.id) < id);
    this.#body.insertBefore(element, below ?? null);
    const entry = { row: {}, element, timer: undefined };
    this.#entries.set(id, entry);
    if (this.#entries.size > SHOWN) {
      this.#isPartial = true;
      this.#drop(Math.min(...this.#entries.keys()));
    }
    return entry;
  }

  /** What happened to the row and how long it took; after a while, the row as it is. */
  #tell(entry, { operation, lsn }, ms) {
    const { element } = entry;
    clearTimeout(entry.timer);
    element.querySelector('.change .what').textContent = `${WORDS[operation]} · ${ms} ms`;
    element.querySelector('.change .mono').textContent = lsn;
    element.classList.remove('insert', 'update', 'delete');
    // Reading a measure makes the browser see the class go, so that the same one starts its animation anew. It lays the
    // page out, too: not for each of ten thousand.
    if (!this.#calm) void element.offsetWidth;
    element.classList.add(operation);
    if (operation === 'delete') return;
    entry.timer = setTimeout(() => {
      element.classList.remove('insert', 'update');
      this.#fill(entry);
    }, REMEMBER_MS);
  }

  #remove(id, change, ms) {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    this.#entries.delete(id);
    if (this.#calm) return this.#discard(entry);
    this.#fill(entry);
    this.#tell(entry, change, ms);
    for (const button of entry.element.querySelectorAll('button')) button.disabled = true;
    setTimeout(() => leave(entry.element, this.#body), FAREWELL_MS);
  }

  #drop(id) {
    const entry = this.#entries.get(id);
    this.#entries.delete(id);
    if (entry !== undefined) this.#discard(entry);
  }

  #discard({ element, timer }) {
    clearTimeout(timer);
    element.remove();
  }

  #clear() {
    for (const id of this.#entries.keys()) this.#drop(id);
    this.#body.replaceChildren();
    this.#isPartial = false;
  }

  #count() {
    const { size } = this.#entries;
    byId('count').textContent = this.#isPartial ? `the newest ${size}` : size;
    byId('empty').textContent = this.#isPartial ? OLDER : NONE;
    byId('empty').hidden = size > 0;
  }
}
