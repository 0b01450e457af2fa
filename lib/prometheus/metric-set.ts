import type { Histogram, Registry } from 'prom-client';
import { LifecycleError } from '../errors/app.error.js';
import type { HandlerStats } from '../interfaces/handler-stats.interface.js';
import type { PgListenerStats } from '../interfaces/status.interface.js';
import type { PgListener } from '../pg-listener.js';
import { DEFINITIONS, DURATIONS, type AppFacts, type Definition } from './definitions.js';

export type PromClient = typeof import('prom-client');
type Listener = Pick<PgListener, 'name' | 'health' | 'stats' | 'measure' | 'isClosing'>;
type Labels = Record<string, string>;

/**
 * The metrics of one registry, for every app that is shown there: of one Nest application, or of several in one process.
 * Values are read when somebody scrapes, and come from `stats()` and `measure()`.
 */
export class MetricSet {
  private static readonly sets = new WeakMap<Registry, MetricSet>();
  private readonly listeners = new Map<string, Listener>();

  private constructor(
    private readonly client: PromClient,
    private readonly registry: Registry,
  ) {}

  static of(client: PromClient, registry: Registry): MetricSet {
    let set = MetricSet.sets.get(registry);
    if (set === undefined) MetricSet.sets.set(registry, (set = new MetricSet(client, registry)));
    return set;
  }

  /** @throws LifecycleError where the registry shows an app of that name; what prom-client throws where a name is taken */
  add(listeners: readonly Listener[]): void {
    for (const listener of listeners) this.refuseTaken(listener);
    if (this.listeners.size === 0 && listeners.length > 0) this.register();
    for (const listener of listeners) this.listeners.set(listener.name, listener);
  }

  remove(listeners: readonly Listener[]): void {
    for (const listener of listeners) {
      if (this.listeners.get(listener.name) === listener) this.listeners.delete(listener.name);
    }
    if (this.listeners.size === 0) this.unregister();
  }

  /** One that ends, or whose application did not come up, does not stand in the way. */
  private refuseTaken(listener: Listener): void {
    const { name: app } = listener;
    const taken = this.listeners.get(app);
    if (taken === listener) {
      throw new LifecycleError('PgListenerPrometheusModule.forRoot shows the app twice in one registry', {
        app,
        hint: 'import it once in an application, or name other `apps` in each.',
      });
    }
    if (taken !== undefined && !taken.isClosing) {
      throw new LifecycleError('Another application of this process shows an app of the same name in this registry', {
        app,
        hint: 'give this one a registry of its own: PgListenerPrometheusModule.forRoot({ registry: new Registry() }).',
      });
    }
  }

  private register(): void {
    try {
      for (const definition of DEFINITIONS) this.registerSamples(definition);
      this.registerDurations();
    } catch (error) {
      this.unregister();
      throw error;
    }
  }

  private unregister(): void {
    for (const { name } of [...DEFINITIONS, DURATIONS]) {
      const metric = this.registry.getSingleMetric(name);
      if (metric !== undefined && OURS.has(metric)) this.registry.removeSingleMetric(name);
    }
  }

  private registerSamples(definition: Definition): void {
    const { name, help, labels, isMeasured, samples } = definition;
    const options = { name, help, labelNames: ['app', ...labels], registers: [this.registry] };
    const collect = async (set: (labels: Labels, value: number) => void, reset: () => void): Promise<void> => {
      const facts = await this.facts(isMeasured);
      // Without a turn in between: two scrapes at once must not add up.
      reset();
      for (const each of facts) {
        for (const { labels: more, value } of samples(each)) set({ app: each.stats.app, ...more }, value);
      }
    };
    if (definition.type === 'gauge') {
      const gauge = new this.client.Gauge({
        ...options,
        collect: () =>
          collect(
            (given, value) => gauge.set(given, value),
            () => gauge.reset(),
          ),
      });
      OURS.add(gauge);
    } else {
      const counter = new this.client.Counter({
        ...options,
        collect: () =>
          collect(
            (given, value) => counter.inc(given, value),
            () => counter.reset(),
          ),
      });
      OURS.add(counter);
    }
  }

  /** prom-client's own histogram counts what it is shown; this one shows what `stats()` has counted. */
  private registerDurations(): void {
    const histogram = new this.client.Histogram({
      ...DURATIONS,
      labelNames: ['app', 'handler'],
      registers: [this.registry],
    });
    OURS.add(histogram);
    const get = async (): ReturnType<Histogram['get']> => {
      const facts = await this.facts(false);
      const values = facts.flatMap(({ stats }) => stats.handlers.flatMap((each) => distributionOf(stats, each)));
      const { name, help } = DURATIONS;
      return { name, help, type: 'histogram', values, aggregator: 'sum' } as unknown as ReturnType<Histogram['get']>;
    };
    // The registry takes the second one, where there is one.
    Object.assign(histogram, { get, getForPromString: get });
  }

  private async facts(isMeasured: boolean): Promise<AppFacts[]> {
    const all = await Promise.all([...this.listeners.values()].map((listener) => factsOf(listener, isMeasured)));
    return all.filter((each) => each !== null);
  }
}

/** A name in the user's registry may be the user's own. */
const OURS = new WeakSet<object>();

/** @returns null before the application has initialised */
async function factsOf(listener: Listener, isMeasured: boolean): Promise<AppFacts | null> {
  try {
    const stats = isMeasured ? await listener.measure() : listener.stats();
    return { stats, health: listener.health() };
  } catch (error) {
    if (error instanceof LifecycleError) return null;
    throw error;
  }
}

function distributionOf({ app }: PgListenerStats, { handler, durations }: HandlerStats): object[] {
  if (durations === null) return [];
  const labels = { app, handler };
  const { name } = DURATIONS;
  let below = 0;
  const buckets = [...durations.bounds, '+Inf'].map((le, index) => {
    below += durations.counts[index]!;
    return { metricName: `${name}_bucket`, labels: { le, ...labels }, value: below };
  });
  return [
    ...buckets,
    { metricName: `${name}_sum`, labels, value: durations.sumSeconds },
    { metricName: `${name}_count`, labels, value: durations.count },
  ];
}
