import { Board } from './board.js';
import { Feed } from './feed.js';
import { byId } from './dom.js';
import { Latency } from './latency.js';
import { offerCopies, setExampleRow } from './outside.js';
import { send } from './send.js';
import { showStatus } from './status.js';
import { Stream } from './stream.js';

/** More at once than an eye can follow: they are shown without motion. */
const CALM_BEYOND = 30;

const board = new Board();
const feed = new Feed();
const latency = new Latency();

new Stream({
  onStatus: showStatus,
  onRows: (rows) => {
    board.load(rows);
    setExampleRow(board.newestId);
  },
  onChanges: (changes) => {
    board.move(changes.length <= CALM_BEYOND, () => {
      for (const change of changes) {
        const ms = since(change.commitTimestamp, Date.now());
        board.apply(change, ms);
        feed.add(change, ms);
        latency.add(change, ms, since(change.commitTimestamp, change.arrivedAt));
      }
    });
    feed.show();
    latency.show();
    setExampleRow(board.newestId);
  },
}).open();

/** A clock that is behind the database's would make it negative. */
function since(timestamp, now) {
  return Math.max(0, now - Date.parse(timestamp));
}

offerCopies();

byId('insert').addEventListener('click', () => send('POST', 'orders'));
byId('transaction').addEventListener('click', () => send('POST', 'orders/transaction'));
byId('update').addEventListener('click', () => {
  const id = board.someId({ open: true }) ?? board.someId();
  if (id !== undefined) send('POST', `orders/${id}/${board.isOpen(id) && Math.random() < 0.7 ? 'advance' : 'add-one'}`);
});
byId('delete').addEventListener('click', () => {
  const id = board.someId();
  if (id !== undefined) send('DELETE', `orders/${id}`);
});
board.onAction((action, id) =>
  action === 'delete' ? send('DELETE', `orders/${id}`) : send('POST', `orders/${id}/${action}`),
);
