import { readdirSync, readlinkSync } from 'node:fs';
import type { RowChange } from '#lib/changes/change.js';
import type { CaptureImage, WireImage } from '#lib/changes/wire-image.js';
import type { TransactionCollector } from '#lib/events/whole/transaction-collector.js';
import type { Change } from '#lib/interfaces/change.interface.js';
import { begin, insert, relation, type RelationSpec } from '../../../support/pgoutput-encoder.js';
import { FakeSink, PublisherBench } from '../../replication/fake-sink.js';

/** A change with its copy of the wire, as the dispatcher has them. */
export interface Captured {
  readonly change: RowChange;
  readonly bytes: number;
  readonly image: WireImage;
}

class CapturingSink extends FakeSink {
  readonly captured: Captured[] = [];

  override change(change: RowChange, route: unknown, bytes: number, capture?: CaptureImage): null {
    super.change(change, route, bytes);
    this.captured.push({ change, bytes, image: capture!() });
    return null;
  }
}

class CapturingBench extends PublisherBench {
  override readonly sink = new CapturingSink();
}

/** What a publisher makes of these messages. Each lies in one receive buffer, which is overwritten by the next. */
export function captureAll(messages: readonly Buffer[]): Captured[] {
  const bench = new CapturingBench();
  const connection = bench.connect();
  const buffer = Buffer.alloc(Math.max(...messages.map(({ length }) => length)));
  messages.forEach((message, at) => {
    message.copy(buffer);
    connection.send(0xffff_ffff_ffff_0000n + BigInt(at >> 1), buffer.subarray(0, message.length));
  });
  return bench.sink.captured;
}

export const COMMIT_LSN = 0xffff_ffff_ffff_fff0n;

export const NOTES: RelationSpec = {
  id: 7,
  table: 'notes',
  columns: [
    { name: 'id', isKey: true },
    { name: 'text', typeOid: 25 },
  ],
};

/** Inserts of `count` rows of some `width` bytes in one transaction. */
export function captureNotes(count: number, width = 100, commitLsn = COMMIT_LSN): Captured[] {
  const rows = Array.from({ length: count }, (_, id) => insert(7, [String(id), String(id).padEnd(width, '.')]));
  return captureAll([begin(commitLsn), relation(NOTES), ...rows]);
}

export function keepAll(collector: TransactionCollector, captured: readonly Captured[]): void {
  for (const each of captured) collector.add(each);
}

export async function allOf(changes: AsyncIterable<Change>): Promise<Change[]> {
  const all: Change[] = [];
  for await (const change of changes) all.push(change);
  return all;
}

/** Descriptors of this process that stand for a spill file, as paths that can be opened. */
export function openSpillFiles(folder: string): string[] {
  const own = '/proc/self/fd';
  return readdirSync(own)
    .map((name) => `${own}/${name}`)
    .filter((path) => targetOf(path).startsWith(`${folder}/pg-listener-spill-`));
}

export function targetOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}
