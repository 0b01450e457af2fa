import 'reflect-metadata';
import { Injectable, Module, type INestApplicationContext, type LoggerService, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { OnTableChange, PgListener, PgListenerModule, type Change, type PgListenerOptions } from 'nestjs-pg-listener';

/** What the listener logged, for tests that ask what a person would read. */
export class LogCollector implements LoggerService {
  readonly lines: string[] = [];
  readonly entries: { level: 'log' | 'warn' | 'error'; message: string }[] = [];
  log = (message: unknown, ...rest: unknown[]): void => this.add('log', message, rest);
  warn = (message: unknown, ...rest: unknown[]): void => this.add('warn', message, rest);
  error = (message: unknown, ...rest: unknown[]): void => this.add('error', message, rest);

  find(text: string | RegExp): string | undefined {
    return this.lines.find((line) => (typeof text === 'string' ? line.includes(text) : text.test(line)));
  }

  private add(level: 'log' | 'warn' | 'error', message: unknown, rest: unknown[]): void {
    this.entries.push({ level, message: String(message) });
    this.lines.push(`${level} ${[message, ...rest.slice(-1)].map(String).join(' | ')}`);
  }
}

export interface TestApplication {
  readonly context: INestApplicationContext;
  readonly listener: PgListener;
  readonly logs: LogCollector;
  close(): Promise<void>;
}

/** A Nest application with one `forRoot` for each of `options`, and these providers. Booted: streaming, or it threw. */
export async function startApplication(
  options: PgListenerOptions | readonly PgListenerOptions[],
  providers: readonly Type[] = [],
  imports: NonNullable<Parameters<typeof Module>[0]['imports']> = [],
): Promise<TestApplication> {
  const roots = (Array.isArray(options) ? options : [options]) as readonly PgListenerOptions[];
  class AppModule {}
  Module({ imports: [...roots.map((each) => PgListenerModule.forRoot(each)), ...imports], providers: [...providers] })(
    AppModule,
  );
  const logs = new LogCollector();
  const context = await NestFactory.createApplicationContext(AppModule, { logger: logs, abortOnError: false });
  return {
    context,
    logs,
    get listener() {
      return context.get(PgListener);
    },
    close: () => context.close(),
  };
}

/** The applications of one test, which are closed together, whatever has become of it. */
export class TestApplications {
  private readonly open = new Set<TestApplication>();

  readonly start = async (...parameters: Parameters<typeof startApplication>): Promise<TestApplication> => {
    const app = await startApplication(...parameters);
    this.open.add(app);
    return app;
  };

  async close(): Promise<void> {
    const open = [...this.open];
    this.open.clear();
    await Promise.all(open.map((app) => app.close()));
  }
}

/** A handler class that keeps every change of these tables. */
export function recorderOf(
  tables: string | string[] = '*',
  onChange?: (change: Change) => unknown,
): Type & { changes: Change[] } {
  @Injectable()
  class Recorder {
    static readonly changes: Change[] = [];
    @OnTableChange(tables)
    record(change: Change): unknown {
      Recorder.changes.push(change);
      return onChange?.(change);
    }
  }
  return Recorder;
}
