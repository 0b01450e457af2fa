import { byId, fromTemplate, setValue, timeOf } from './dom.js';
import { arrive } from './motion.js';

const COMMITS_SHOWN = 40;
const CHANGES_SHOWN = 12;
/** More cards at once come without motion. */
const CALM_BEYOND = 5;

const BADGES = { insert: 'new', update: 'changed', delete: 'deleted', truncate: 'emptied' };

/** The changes that have come, a card for each transaction, the newest first. */
export class Feed {
  #list = byId('feed');
  /** The transaction whose changes are coming. */
  #commit;
  /** Those with something new to show. A burst brings more of them than anybody will see. */
  #touched = new Set();

  add(change, ms) {
    if (this.#commit?.lsn !== change.lsn) {
      this.#commit = { lsn: change.lsn, first: change, pending: [], size: 0, element: undefined };
    }
    this.#touched.add(this.#commit);
    if (this.#touched.size > COMMITS_SHOWN) this.#touched.delete(this.#touched.values().next().value);
    if (++this.#commit.size <= CHANGES_SHOWN) this.#commit.pending.push({ change, ms });
  }

  show() {
    const isCalm = this.#touched.size > CALM_BEYOND;
    for (const commit of this.#touched) {
      const isNew = commit.element === undefined;
      commit.element ??= commitCard(commit.first);
      commit.element.querySelector('ol').append(...commit.pending.splice(0).map(changeLine));
      const hidden = commit.size - CHANGES_SHOWN;
      const more = commit.element.querySelector('.more');
      more.hidden = hidden <= 0;
      if (hidden > 0) more.textContent = `and ${hidden.toLocaleString()} more in this transaction`;
      if (isNew) this.#list.prepend(commit.element);
      if (isNew && !isCalm) arrive(commit.element);
    }
    this.#touched.clear();
    while (this.#list.children.length > COMMITS_SHOWN) this.#list.lastElementChild.remove();
    byId('feed-empty').hidden = this.#list.children.length > 0;
  }
}

function commitCard({ lsn, xid, commitTimestamp }) {
  const card = fromTemplate('commit-template');
  card.querySelector('.lsn').textContent = lsn;
  card.querySelector('.xid').textContent = `tx ${xid}`;
  const time = card.querySelector('time');
  time.textContent = timeOf(commitTimestamp);
  time.dateTime = commitTimestamp;
  return card;
}

function changeLine({ change, ms }) {
  const line = fromTemplate('change-template');
  line.classList.add(change.operation);
  line.querySelector('.badge').textContent = BADGES[change.operation];
  line.querySelector('.what').textContent = summary(change);
  line.querySelector('.ms').textContent = `${ms} ms`;
  line.querySelector('dl').append(...differences(change));
  return line;
}

function summary({ operation, record, oldRecord, table }) {
  if (operation === 'truncate') return `all rows of ${table}`;
  const row = record ?? oldRecord ?? {};
  if (operation === 'update' || row.customer === undefined) return `#${row.id} ${row.customer ?? ''}`;
  return `#${row.id} ${row.customer}, ${row.quantity} × ${row.item}`;
}

/** Old and new value side by side, for each column that changed. */
function differences({ operation, record, oldRecord, changedColumns }) {
  if (operation !== 'update') return [];
  if (changedColumns === null) return [];
  return changedColumns.map((column) => {
    const pair = document.createElement('div');
    const name = document.createElement('dt');
    const value = document.createElement('dd');
    name.textContent = column;
    setValue(value, column, record[column], oldRecord[column]);
    pair.append(name, value);
    return pair;
  });
}
