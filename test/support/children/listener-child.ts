import 'reflect-metadata';
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { OnTableChange, PgListener, PgListenerModule, type InsertChange, type UpdateChange } from 'nestjs-pg-listener';
import pg from 'pg';

/**
 * An application in a process of its own, for tests that kill it. `argv`: URL, slot, mode.
 *
 * - `journal`: writes each insert into `events` to the table `journal`, reports its states, and may be killed at any point.
 * - `lanes`: writes each version of each row of `counters` to the table `versions`, in eight lanes.
 * - `count`: counts inserts into `events`, checks their order, and reports memory and disk; `streamed`: so does it, with
 *   `streaming`.
 */
const [url, slot, mode] = process.argv.slice(2) as [string, string, 'journal' | 'lanes' | 'count' | 'streamed'];

interface EventRow {
  readonly id: number;
  readonly writer: number;
}

@Injectable()
class JournalHandler {
  private readonly pool = new pg.Pool({ connectionString: url, max: 1 });
  private hasWritten = false;

  /** Slower than the writers, so that there is always something received and unfinished. */
  @OnTableChange<EventRow>('events', 'insert')
  async write({ record, lsn, index }: InsertChange<EventRow>): Promise<void> {
    await this.pool.query('INSERT INTO journal (process, writer, id, lsn, idx) VALUES ($1, $2, $3, $4, $5)', [
      process.pid,
      record.writer,
      record.id,
      lsn,
      index,
    ]);
    if (this.hasWritten) return;
    this.hasWritten = true;
    process.send?.({ journaled: true });
  }
}

interface CounterRow {
  readonly id: number;
  readonly version: number;
}

@Injectable()
class LanesHandler {
  private readonly pool = new pg.Pool({ connectionString: url, max: 8 });
  private written = 0;

  @OnTableChange<CounterRow>('counters', ['insert', 'update'], { concurrency: 8 })
  async write({ record }: InsertChange<CounterRow> | UpdateChange<CounterRow>): Promise<void> {
    await this.pool.query('INSERT INTO versions (process, id, version) VALUES ($1, $2, $3)', [
      process.pid,
      record.id,
      record.version,
    ]);
    if (++this.written === 20) process.send?.({ journaled: true });
  }
}

/** Rows of a first transaction: what the process takes for itself is not the large one's. */
const WARM_UP = 20_000;

@Injectable()
class CountHandler {
  private handled = 0;
  private baseline = 0;
  private peak = 0;
  private peakOnDisk = 0;
  private isOrdered = true;

  constructor(private readonly listener: PgListener) {
    setInterval(() => this.measure(), 50).unref();
  }

  @OnTableChange<EventRow>('events', 'insert')
  async count({ record, index }: InsertChange<EventRow>): Promise<void> {
    const place = this.handled < WARM_UP ? this.handled : this.handled - WARM_UP;
    if (record.id !== ++this.handled || index !== place) this.isOrdered = false;
    if (this.handled === WARM_UP) {
      global.gc?.();
      this.baseline = this.peak = process.memoryUsage().rss;
    }
    if (this.handled % WARM_UP === 0) this.report();
  }

  private measure(): void {
    if (this.baseline === 0) return;
    this.peak = Math.max(this.peak, process.memoryUsage().rss);
    this.peakOnDisk = Math.max(this.peakOnDisk, this.listener.stats().inProgress.diskBytes);
  }

  private report(): void {
    this.measure();
    process.send?.({
      handled: this.handled,
      isOrdered: this.isOrdered,
      growthMb: inMb(this.peak - this.baseline),
      diskMb: inMb(this.peakOnDisk),
    });
  }
}

function inMb(bytes: number): number {
  return Math.round(bytes / 1024 / 1024);
}

@Module({
  imports: [PgListenerModule.forRoot({ connection: url, slot, streaming: mode === 'streamed' })],
  providers: [{ journal: JournalHandler, lanes: LanesHandler, count: CountHandler, streamed: CountHandler }[mode]],
})
class AppModule {}

const application = await NestFactory.createApplicationContext(AppModule, { logger: ['error', 'warn'] });
process.send?.({ ready: true });
if (mode === 'journal') application.get(PgListener).status$.subscribe(({ state }) => process.send?.({ state }));
process.on('disconnect', () => process.exit(0));
