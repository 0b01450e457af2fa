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
 * - `count`: counts inserts into `events`, checks their order, and reports memory.
 */
const [url, slot, mode] = process.argv.slice(2) as [string, string, 'journal' | 'lanes' | 'count'];

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

@Injectable()
class CountHandler {
  private handled = 0;
  private baseline = 0;
  private peak = 0;
  private isOrdered = true;

  constructor() {
    // Growth counts from the first change on: what booting costs is not the transaction's.
    setInterval(() => this.measure(), 50).unref();
  }

  @OnTableChange<EventRow>('events', 'insert')
  async count({ record, index }: InsertChange<EventRow>): Promise<void> {
    if (this.handled === 20_000) {
      global.gc?.();
      this.baseline = this.peak = process.memoryUsage().rss;
    }
    if (record.id !== ++this.handled || index !== this.handled - 1) this.isOrdered = false;
    if (this.handled % 100_000 === 0) this.report();
  }

  private measure(): void {
    if (this.baseline > 0) this.peak = Math.max(this.peak, process.memoryUsage().rss);
  }

  private report(): void {
    this.measure();
    const growthMb = Math.round((this.peak - this.baseline) / 1024 / 1024);
    process.send?.({ handled: this.handled, isOrdered: this.isOrdered, growthMb });
  }
}

@Module({
  imports: [PgListenerModule.forRoot({ connection: url, slot })],
  providers: [{ journal: JournalHandler, lanes: LanesHandler, count: CountHandler }[mode]],
})
class AppModule {}

const application = await NestFactory.createApplicationContext(AppModule, { logger: ['error', 'warn'] });
process.send?.({ ready: true });
if (mode === 'journal') application.get(PgListener).status$.subscribe(({ state }) => process.send?.({ state }));
process.on('disconnect', () => process.exit(0));
