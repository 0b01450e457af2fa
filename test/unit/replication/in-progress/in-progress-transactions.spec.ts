import { tmpdir } from 'node:os';
import { afterEach, expect, it } from '@jest/globals';
import { InProgressTransactions } from '#lib/replication/in-progress/in-progress-transactions.js';
import { insert } from '../../../support/pgoutput-encoder.js';
import { openSpillFiles } from '../../events/whole/captured-changes.js';

const CHUNK_BYTES = 16 * 1024;
const MOST_BYTES = 4 * CHUNK_BYTES;
const COUNT = 40;

let open: InProgressTransactions;
afterEach(() => {
  open.close();
  expect(openSpillFiles(tmpdir())).toEqual([]);
});

function part(xid: number, isFirst: boolean, rows: readonly string[]): void {
  open.start({ xid, isFirst });
  for (const row of rows) {
    const message = insert(1, [row]);
    open.add(message, 0, message.length, 0, 1, false);
  }
  open.stop('StreamStop');
}

async function rowsOf(xid: number): Promise<string[]> {
  const transaction = open.finish(xid, 'StreamCommit');
  const rows: string[] = [];
  const cursor = transaction.cursor();
  const taker = {
    message: (buffer: Buffer, start: number, end: number) => void rows.push(buffer.toString('latin1', start + 13, end)),
    described: () => undefined,
  };
  do while (cursor.take(taker));
  while (await cursor.fill());
  transaction.close();
  return rows;
}

it('however many are open at a time, what is in memory stays within the bound, but for one chunk', async () => {
  open = new InProgressTransactions({ folder: tmpdir, chunkBytes: CHUNK_BYTES }, MOST_BYTES, (what) => new Error(what));
  const row = (xid: number, round: number, at: number): string => `${xid} ${round} ${at}`.padEnd(1_000, '.');
  const parts = (xid: number, round: number): string[] => Array.from({ length: 12 }, (_, at) => row(xid, round, at));
  let most = 0;
  for (let round = 0; round < 3; round++) {
    for (let xid = 1; xid <= COUNT; xid++) {
      part(xid, round === 0, parts(xid, round));
      most = Math.max(most, open.memoryBytes);
    }
  }
  expect(most).toBeLessThanOrEqual(MOST_BYTES + CHUNK_BYTES);
  for (let xid = 1; xid <= COUNT; xid++) {
    expect(await rowsOf(xid)).toEqual([0, 1, 2].flatMap((round) => parts(xid, round)));
  }
});
