import 'reflect-metadata';
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  OnTableChange,
  OnTransaction,
  PgListener,
  PgListenerModule,
  type Change,
  type Transaction,
  type TransactionalContext,
} from 'nestjs-pg-listener';
import { HANDLERS, isChosen, WHOLE, type ChildOptions, type HandlerName, type ToChild } from './handlers.js';
import { JournalWriter } from './journal.js';
import { changeName, contentOf, contentOfUpdate, deleteName, type Content } from './truth.js';

/** An application with handlers of every kind, for faults that are done to it. `argv`: `ChildOptions` as JSON. */
const options = JSON.parse(process.argv[2]!) as ChildOptions;
const { failing, slow, ways = [] } = options;
const journal = new JournalWriter(options.directory, options.name);
const failed = new Set<string>();
const tell = (message: Record<string, unknown>): void => void process.send?.(message);
const onFailure = {
  retry: { attempts: 2, minDelayMs: 5, maxDelayMs: 100 },
  onExhausted: failing?.policy ?? 'block',
} as const;

interface Row extends Content {
  readonly id: number;
  readonly row: number;
  readonly version: number;
}

function nameOf(change: Change): string {
  if (change.operation === 'delete') return deleteName(change.table, (change.oldRecord as unknown as Row).id);
  if (change.operation === 'truncate') return `${change.table}/truncate`;
  const { row, version } = change.record as unknown as Row;
  return changeName(change.table, row, version);
}

/** Of the row, as a handler is told it. */
function seen(change: Change): string {
  if (change.operation === 'delete') return contentOf(change.oldRecord as unknown as Row);
  if (change.operation === 'insert') return contentOf(change.record as unknown as Row);
  if (change.operation !== 'update') return change.operation;
  return contentOfUpdate(change.record as unknown as Row, change.oldRecord as unknown as Row | null);
}

function failWhereChosen(handler: string, name: string): void {
  if (failing === undefined || !isChosen(name, failing.perMille)) return;
  if (!failing.isForEver && failed.has(`${handler} ${name}`)) return;
  failed.add(`${handler} ${name}`);
  throw new Error(`${handler} fails on ${name}`);
}

@Injectable()
class SerialHandler {
  private seen = 0;

  @OnTableChange(HANDLERS.serial.tables, ['insert', 'update', 'delete'], { id: 'serial', ...onFailure })
  async serial(change: Change): Promise<void> {
    const name = nameOf(change);
    const { turn } = journal;
    this.seen++;
    if (this.seen === options.blockAt) await this.block();
    if (slow !== undefined && this.seen % slow.every === 0) await new Promise((done) => setTimeout(done, slow.ms));
    failWhereChosen('serial', name);
    journal.write('serial', change.lsn, [name], turn, [seen(change)]);
  }

  private block(): Promise<never> {
    tell({ blocked: true });
    return new Promise(() => undefined);
  }
}

@Injectable()
class Handlers {
  private commits = 0;

  @OnTableChange(HANDLERS.lanes.tables, ['insert', 'update', 'delete'], { id: 'lanes', concurrency: 8, ...onFailure })
  async lanes(change: Change): Promise<void> {
    const name = nameOf(change);
    const { turn } = journal;
    await new Promise((done) => setTimeout(done, name.length % 3));
    failWhereChosen('lanes', name);
    journal.write('lanes', change.lsn, [name], turn, [seen(change)]);
  }

  @OnTableChange(HANDLERS.arrays.tables, ['insert', 'update', 'delete'], { id: 'arrays', batch: { size: 100 } })
  async arrays(changes: readonly Change[]): Promise<void> {
    for (const change of changes) {
      journal.write('arrays', change.lsn, [nameOf(change)], journal.turn, [seen(change)]);
    }
  }

  @OnTableChange(HANDLERS.effects.tables, ['insert', 'update', 'delete'], {
    id: 'effects',
    transactional: true,
    ...onFailure,
  })
  async effects(change: Change, context: TransactionalContext): Promise<void> {
    // The one before is committed, and nobody has had a chance to confirm it.
    if (this.commits++ === options.dieAfterCommits) process.kill(process.pid, 'SIGKILL');
    await write('effects', [change], context);
  }

  @OnTableChange(HANDLERS.effectLanes.tables, ['insert', 'update', 'delete'], {
    id: 'effectLanes',
    transactional: true,
    concurrency: 4,
    ...onFailure,
  })
  async effectLanes(change: Change, context: TransactionalContext): Promise<void> {
    await write('effectLanes', [change], context);
  }

  @OnTableChange(HANDLERS.effectArrays.tables, ['insert', 'update', 'delete'], {
    id: 'effectArrays',
    transactional: true,
    batch: { size: 500 },
    ...onFailure,
  })
  async effectArrays(changes: readonly Change[], context: TransactionalContext): Promise<void> {
    await write('effectArrays', changes, context);
  }

  @OnTransaction({ id: WHOLE })
  async whole(transaction: Transaction): Promise<void> {
    const names: string[] = [];
    const contents: string[] = [];
    const { turn } = journal;
    for await (const change of transaction.changes) {
      if (!(change.table in { items: 1, docs: 1, bulk: 1 })) continue;
      names.push(nameOf(change));
      contents.push(seen(change));
    }
    if (names.length > 0) journal.write(WHOLE, transaction.lsn, names, turn, contents);
  }
}

async function write(
  handler: HandlerName,
  changes: readonly Change[],
  { client }: TransactionalContext,
): Promise<void> {
  const names = changes.map(nameOf);
  await client.query(
    `INSERT INTO effects (handler, name, content, process) SELECT $1, name, content, $4
       FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS n (name, content, place) ORDER BY place`,
    [handler, names, changes.map(seen), process.pid],
  );
  // After the effect, so that something has to be rolled back.
  for (const name of names) failWhereChosen(handler, name);
}

@Module({
  imports: [
    PgListenerModule.forRoot({
      connection: options.url,
      slot: options.isFailover === true ? { name: options.slot, failover: true } : options.slot,
      service: 'faults',
      startup: { wait: false },
      // Little memory, so that a disk is used.
      ...(ways.includes('streaming') ? { streaming: true, limits: { bytes: 65_536 } } : {}),
      binary: ways.includes('binary'),
      shutdownTimeoutMs: 3_000,
      ...(options.publications === undefined ? {} : { publications: options.publications }),
    }),
  ],
  providers: options.isAlone === true ? [SerialHandler] : [SerialHandler, Handlers],
})
class AppModule {}

const application = await NestFactory.createApplicationContext(AppModule, { logger: ['error', 'warn'] });
const listener = application.get(PgListener);
listener.status$.subscribe(({ state, error }) => {
  // Another process streams, and goes on from where this one was.
  if (state === 'standby') journal.anew();
  tell({ state, error: error?.message ?? null });
});
process.on('message', ({ do: what }: ToChild) => {
  const done = (result: unknown): void => tell({ done: what, result });
  const failedTo = (error: unknown): void => tell({ done: what, failed: String(error) });
  if (what === 'stop') void application.close().then(() => process.exit(0));
  // After a promotion a stream may begin before what has been handled: it is as if another process did.
  else if (what === 'anew') journal.anew();
  else if (what === 'retry') listener.parked.retry().then(done, failedTo);
  else listener.acknowledgeGaps().then(done, failedTo);
});
process.on('disconnect', () => process.exit(0));
