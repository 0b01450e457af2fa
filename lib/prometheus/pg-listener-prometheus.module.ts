import { Module, type DynamicModule, type OnModuleDestroy, type OnModuleInit } from '@nestjs/common';
import type { Registry } from 'prom-client';
import { MissingPeerError } from '../errors/peer.error.js';
import type { PgListener } from '../pg-listener.js';
import { PgListenerRegistry } from '../pg-listener.registry.js';
import { MetricSet, type PromClient } from './metric-set.js';

export interface PgListenerPrometheusOptions {
  /** Where the metrics are registered. Default: prom-client's own, `register`. */
  readonly registry?: Registry;
  /** Names of the apps that are shown. Default: all. */
  readonly apps?: readonly string[];
  /** Upper bounds of the histogram of durations, in seconds. Default: from 1 ms to 60 s. */
  readonly durationBuckets?: readonly number[];
}

/**
 * Registers the metrics of `docs/operations.md` for the apps of the application. An endpoint that shows the registry is
 * the application's own.
 *
 * @publicApi
 */
@Module({})
export class PgListenerPrometheusModule {
  /**
   * @throws MissingPeerError at boot, where `prom-client` is not installed
   * @example
   * PgListenerPrometheusModule.forRoot()
   */
  static forRoot(options: PgListenerPrometheusOptions = {}): DynamicModule {
    return {
      module: PgListenerPrometheusModule,
      providers: [
        {
          provide: PrometheusMetrics,
          inject: [PgListenerRegistry],
          useFactory: async (listeners: PgListenerRegistry): Promise<PrometheusMetrics> =>
            new PrometheusMetrics(await loadClient(), listeners, options),
        },
      ],
    };
  }
}

/** Shows the apps from the application's initialisation to its end. */
class PrometheusMetrics implements OnModuleInit, OnModuleDestroy {
  private readonly set: MetricSet;
  private shown: readonly PgListener[] = [];

  constructor(
    client: PromClient,
    private readonly listeners: PgListenerRegistry,
    private readonly options: PgListenerPrometheusOptions,
  ) {
    this.set = MetricSet.of(client, options.registry ?? client.register);
  }

  /** By then every app is there, and none streams yet: no call is missed. */
  onModuleInit(): void {
    const { apps = this.listeners.names(), durationBuckets } = this.options;
    const shown = apps.map((name) => this.listeners.get(name));
    for (const listener of shown) listener.timeHandlers(durationBuckets);
    this.set.add(shown);
    this.shown = shown;
  }

  onModuleDestroy(): void {
    this.set.remove(this.shown);
  }
}

async function loadClient(): Promise<PromClient> {
  try {
    const loaded = await import('prom-client');
    // Of a CommonJS module, not every loader finds the names.
    return (loaded as { default?: PromClient }).default ?? loaded;
  } catch (error) {
    throw new MissingPeerError('prom-client', 'PgListenerPrometheusModule', error);
  }
}
