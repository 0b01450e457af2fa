import 'reflect-metadata';
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { OnTableChange, PgListener, PgListenerModule, type InsertChange } from 'nestjs-pg-listener';

/**
 * An application that takes transactions in progress. `argv`: URL, slot, folder for temporary files. Reports its state, and
 * the ids that came; a message names another folder, and starts it again.
 */
const [url, slot, folder] = process.argv.slice(2) as [string, string, string];
process.env['TMPDIR'] = folder;

@Injectable()
class Handler {
  private readonly ids: number[] = [];

  @OnTableChange<{ a: number }>('t', 'insert')
  onCreated({ record }: InsertChange<{ a: number }>): void {
    this.ids.push(record.a);
    if (record.a === 0) process.send?.({ ids: this.ids });
  }
}

@Module({
  imports: [PgListenerModule.forRoot({ connection: url, slot, streaming: true, limits: { bytes: 100_000 } })],
  providers: [Handler],
})
class AppModule {}

const context = await NestFactory.createApplicationContext(AppModule, { logger: false });
const listener = context.get(PgListener);
listener.status$.subscribe(({ state, error }) => {
  const { name, code, message } = (error ?? {}) as Error & { code?: string };
  process.send?.({ state, error: { name, code, message } });
});
process.on('message', (mended: string) => {
  process.env['TMPDIR'] = mended;
  void listener.start();
});
process.on('disconnect', () => process.exit(0));
