import {
  Injectable,
  Logger,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
  type OnModuleInit,
} from '@nestjs/common';
import { DiscoveryService, ModuleRef } from '@nestjs/core';
import { PgListener } from './pg-listener.js';
import { getPgListenerToken } from './pg-listener.tokens.js';
import type { HandlerDefinition } from './interfaces/handler-definition.interface.js';
import { DEFAULT_APP_NAME } from './pg-listener.constants.js';
import { PgListenerExplorer } from './pg-listener.explorer.js';
import { FeatureRegistry, PgListenerConfigRegistry, PgListenerRegistry } from './pg-listener.registry.js';
import { AppRuntime } from './pg-listener.runtime.js';
import { LifecycleError } from './errors/app.error.js';
import { PgListenerConfigError } from './errors/config.error.js';
import type { PgListenerConfig } from './configs/pg-listener-config.js';
import { serverOf } from './connection/connection-target.js';

/** The only provider with lifecycle hooks: wires the apps of one application, starts them, drains them, closes them. */
@Injectable()
export class PgListenerOrchestrator implements OnModuleInit, OnApplicationBootstrap, OnModuleDestroy {
  /** Apps whose listener is none of ours. */
  private readonly overridden = new Set<string>();

  constructor(
    private readonly explorer: PgListenerExplorer,
    private readonly configs: PgListenerConfigRegistry,
    private readonly listeners: PgListenerRegistry,
    private readonly features: FeatureRegistry,
    private readonly modules: ModuleRef,
    private readonly discovery: DiscoveryService,
  ) {}

  /** Discovery and wiring: mistakes fail the boot here, before anything is opened. */
  onModuleInit(): void {
    this.features.seal();
    const configs = new Map(this.configs.names().map((name) => [name, this.configs.get(name)]));
    const tables = this.explorer.tables();
    const { enabled, disabled } = this.explorer.explore(configs, tables);
    const streaming: PgListenerConfig[] = [];
    for (const [name, config] of configs) {
      const logger = new Logger(loggerContext(name));
      const mine = enabled.filter(({ app }) => app === name);
      for (const handler of mine) logger.log(`Mapped ${describeHandler(handler)}`);
      for (const handler of disabled.filter(({ app }) => app === name)) {
        logger.log(`Not mapped, because it is disabled: ${describeHandler(handler)}`);
      }
      const listener = this.injectedListener(name);
      const named = config.subscriptions.map((table) => ({ name: table, source: 'options.subscriptions' }));
      const features = [...this.features.of(name, tables), ...named];
      if (listener !== undefined) {
        const { streams, statusSubject: status, gapSubject: gaps } = listener;
        const parts = { config, definitions: mine, features, streams, status, gaps, logger };
        listener.tables = tables;
        listener.runtime = listener.createRuntime?.(parts) ?? new AppRuntime(parts);
        if (listener.runtime instanceof AppRuntime) streaming.push(config);
      }
      const hearsTables = features.length > 0 || mine.some(({ kind }) => kind === 'table' || kind === 'schema');
      if (mine.some(({ kind }) => kind === 'transaction') && !hearsTables && config.publications === null) {
        logger.warn('@OnTransaction hears no table: name some in `subscriptions`, a handler or forFeature');
      }
      for (const { id } of mine.filter((each) => mayHearItself(each))) {
        if (config.origin === 'none') continue;
        logger.warn(
          `${id} is transactional and listens to tables by a pattern: what it writes to one of them comes back to it. ` +
            "Name its tables, or set `origin: 'none'` (PostgreSQL 16 and later)",
        );
      }
      const isHeard = mine.length > 0 || features.length > 0;
      if (!isHeard && listener !== undefined && config.enabled) {
        logger.warn('Nobody listens: no handler, forFeature or subscription. Is the class in `providers`?');
      }
      if (listener === undefined) logger.log('Overridden by another provider: no connection will be opened');
      else if (!config.enabled) logger.log('Disabled: no connection will be opened');
    }
    for (const note of tables.notes) new Logger('PgListener').warn(note);
    refuseSharedSlots(streaming);
  }

  async onApplicationBootstrap(): Promise<void> {
    const starting = this.configs.names().map((name) => this.startApp(name));
    const outcomes = await Promise.allSettled(starting);
    const failure = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failure === undefined) return;
    // A boot that fails must not leave the other apps' connections behind, and nobody closes it.
    await this.closeAll();
    throw failure.reason;
  }

  async onModuleDestroy(): Promise<void> {
    await this.closeAll();
    for (const name of this.listeners.names()) {
      const listener = this.listeners.get(name);
      listener.streams.close();
      listener.statusSubject.complete();
      listener.gapSubject.complete();
    }
  }

  /**
   * The listener that the application injects. It is ours, unless a test has overridden the provider: with a
   * `TestPgListener`, which takes the place of ours, or with something of its own, and then nothing is started.
   */
  private injectedListener(name: string): PgListener | undefined {
    const injected: unknown = this.modules.get(getPgListenerToken(name), { strict: false });
    if (!(injected instanceof PgListener)) {
      this.overridden.add(name);
      return undefined;
    }
    this.refuseSeveral(name);
    this.listeners.replace(name, injected);
    return injected;
  }

  /**
   * forRoot and each forFeature provide the token. A factory or class that overrides it is called for each of them,
   * and all but one of the listeners would stay deaf.
   */
  private refuseSeveral(name: string): void {
    const token = getPgListenerToken(name);
    const provided = this.discovery.getProviders().filter((wrapper) => wrapper.token === token);
    if (new Set(provided.map(({ instance }) => instance as unknown)).size < 2) return;
    throw new LifecycleError('The provider of the listener was overridden by one that makes several', {
      app: name,
      hint: 'make one first, and put it in with overrideProvider(getPgListenerToken()).useValue(listener).',
    });
  }

  private async startApp(name: string): Promise<void> {
    const { autoStart, startup } = this.configs.get(name);
    if (!autoStart || this.overridden.has(name)) return;
    const started = this.listeners.get(name).start();
    if (startup.wait) return started;
    // The status and the log tell of a failure; boot does not wait for it.
    started.catch(() => undefined);
  }

  private async closeAll(): Promise<void> {
    for (const name of this.listeners.names()) this.listeners.get(name).isClosing = true;
    await Promise.all(this.listeners.names().map((name) => this.listeners.get(name).stop()));
  }
}

/** @throws PgListenerConfigError where two apps of the application have one slot: the second would stand by for ever */
function refuseSharedSlots(configs: readonly PgListenerConfig[]): void {
  const owners = new Map<string, string>();
  for (const { name, slot, enabled, connection } of configs) {
    if (!enabled || slot.name === null) continue;
    const key = `${slot.name} at ${serverOf({ app: name, connection })}`;
    const owner = owners.get(key);
    if (owner !== undefined) {
      const problem = `is that of the app "${owner}" on the same server; each app needs a slot of its own`;
      throw new PgListenerConfigError(name, [{ path: 'slot', problem }]);
    }
    owners.set(key, name);
  }
}

function loggerContext(app: string): string {
  return app === DEFAULT_APP_NAME ? 'PgListener' : `PgListener:${app}`;
}

function describeHandler({ id, app, kind, tables, operations, prefix }: HandlerDefinition): string {
  const what =
    kind === 'table'
      ? `${tables.join(', ')}, ${operations.length === 0 ? 'every operation' : operations.join(' | ')}`
      : kind === 'schema'
        ? `${tables.join(', ')}, schema`
        : kind === 'transaction'
          ? 'every transaction'
          : `messages ${prefix === null ? 'of any prefix' : `"${prefix}"`}`;
  return `{${what}} → ${id} [${app}]`;
}

/** Which tables it writes to, nobody can know; by a pattern it listens to some that it has not been told of. */
function mayHearItself({ transactional, tables }: HandlerDefinition): boolean {
  return transactional && tables.some((table) => table.includes('*') && !table.startsWith('!'));
}
