import 'reflect-metadata';
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { OnTableChange, PgListener, PgListenerModule, type InsertChange } from 'nestjs-pg-listener';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * An application whose handler sleeps once, for a long time, and then counts. `argv`: URL, slot, milliseconds. Reports
 * memory while it sleeps, and how many rows came, in which order.
 */
const [url, slot, sleepMs] = process.argv.slice(2) as [string, string, string];

@Injectable()
class SlowHandler {
  private handled = 0;
  private isOrdered = true;

  @OnTableChange<{ id: string }>('readings', 'insert')
  onCreated({ record }: InsertChange<{ id: string }>): Promise<void> | undefined {
    if (Number(record.id) !== ++this.handled) this.isOrdered = false;
    if (this.handled === 1) return this.sleep();
    if (this.handled % 10_000 === 0) this.report();
    return undefined;
  }

  report(): void {
    process.send?.({ handled: this.handled, isOrdered: this.isOrdered });
  }

  private async sleep(): Promise<void> {
    global.gc?.();
    const before = process.memoryUsage().rss;
    let peak = before;
    const measure = setInterval(() => (peak = Math.max(peak, process.memoryUsage().rss)), 50);
    process.send?.({ asleep: true });
    await sleep(Number(sleepMs));
    clearInterval(measure);
    process.send?.({ awake: true, growthMb: Math.round((peak - before) / 1024 / 1024) });
  }
}

@Module({ imports: [PgListenerModule.forRoot({ connection: url, slot })], providers: [SlowHandler] })
class AppModule {}

const context = await NestFactory.createApplicationContext(AppModule, { logger: ['error', 'warn'] });
process.send?.({ ready: true });
process.on('message', () => {
  context.get(SlowHandler).report();
  process.send?.({ stats: context.get(PgListener).stats() });
});
process.on('disconnect', () => process.exit(0));
