import { Injectable } from '@nestjs/common';
import { DiscoveryService, MetadataScanner } from '@nestjs/core';
import type { PgListenerConfig } from './configs/pg-listener-config.js';
import { adaptWith, isTransactionAdapter } from './adapters/adapted-callback.js';
import { handlersOf } from './decorators/handler-metadata.js';
import { HandlerEnhancers, type EnhancedHandler } from './enhancers/handler-enhancers.js';
import { asError } from './errors/as-error.js';
import { HandlerDefinitionError } from './errors/handler.error.js';
import { withSchema } from './events/row-schema.js';
import { settledResult } from './events/settled-result.js';
import type {
  Around,
  HandlerDefinition,
  HandlerMetadata,
  HandlerMethod,
} from './interfaces/handler-definition.interface.js';
import type { StandardSchemaV1 } from './interfaces/standard-schema.interface.js';
import type { AdapterProviders } from './interfaces/transaction-adapter.interface.js';
import { DEFAULT_APP_NAME } from './pg-listener.constants.js';
import { mistakesOf, overrideMistakes, twinMistake, unknownId } from './pg-listener.handler-checks.js';
import { typeHandler } from './tables/handler-typing.js';
import { TableResolver } from './tables/table-resolver.js';

type InstanceWrapper = ReturnType<DiscoveryService['getProviders']>[number];

type Layers = readonly (Around | undefined)[];

/** A decorated method, before it is held against its app's configuration. */
interface Finding {
  readonly metadata: HandlerMetadata;
  readonly wrapper: InstanceWrapper;
  readonly instance: object;
  readonly className: string;
  readonly methodName: string;
  /** The method as its class has it. */
  readonly declared: object;
  readonly id: string;
}

interface Explored {
  readonly definition: HandlerDefinition;
  readonly handler: EnhancedHandler;
  readonly schema: StandardSchemaV1 | undefined;
  /** What an ORM has to do with it, from within to without. */
  readonly layers: Layers;
  /** Its policy parks. */
  readonly parks: boolean;
  /** Class, method and module, for error texts. */
  readonly place: string;
  readonly isEnabled: boolean;
}

export interface ExploredHandlers {
  /** In discovery order. */
  readonly enabled: readonly HandlerDefinition[];
  readonly disabled: readonly HandlerDefinition[];
}

/** Finds decorated methods in the application and reports every mistake at once. Opens nothing, calls nothing. */
@Injectable()
export class PgListenerExplorer {
  constructor(
    private readonly discovery: DiscoveryService,
    private readonly scanner: MetadataScanner,
    private readonly enhancers: HandlerEnhancers,
  ) {}

  /** @throws HandlerDefinitionError */
  explore(configs: ReadonlyMap<string, PgListenerConfig>, resolver: TableResolver = this.tables()): ExploredHandlers {
    const mistakes: string[] = [];
    const handlers = new Map<string, Explored>();
    for (const finding of this.findings()) {
      const app = finding.metadata.options.app ?? DEFAULT_APP_NAME;
      const place = `${finding.className}.${finding.methodName} (module ${finding.wrapper.host?.name ?? 'unknown'})`;
      const config = configs.get(app);
      if (config === undefined) {
        const known = [...configs.keys()].map((name) => `"${name}"`).join(', ') || 'none';
        mistakes.push(`${place} belongs to the app "${app}", which no forRoot registers (registered: ${known})`);
        continue;
      }
      const override = config.handlers[finding.id];
      const plain = this.define(finding, app, override);
      const { definition, layers, misfits } = this.withOrm(finding.metadata, plain, override, resolver);
      const handler = enhancedHandler(finding, config);
      const mine = [...misfits, ...this.enhancers.mistakesOf(handler), ...mistakesOf(finding.metadata, definition)];
      mistakes.push(...mine.map((mistake) => `${place} ${mistake}`));
      const key = `${app}\0${definition.id}`;
      const twin = handlers.get(key);
      if (override !== undefined) mistakes.push(...overrideMistakes(definition, override));
      if (twin !== undefined) mistakes.push(twinMistake({ definition, place }, twin));
      const isEnabled = override?.enabled ?? finding.metadata.options.enabled ?? true;
      const { schema } = finding.metadata.options;
      const parks = (definition.onExhausted ?? config.onExhausted) === 'park';
      handlers.set(key, { definition, handler, schema, layers, parks, place, isEnabled });
    }
    for (const config of configs.values()) {
      for (const id of Object.keys(config.handlers)) {
        if (!handlers.has(`${config.name}\0${id}`)) mistakes.push(unknownId(id, config.name, [...handlers.values()]));
      }
    }
    if (mistakes.length > 0) throw new HandlerDefinitionError(mistakes);
    const all = [...handlers.values()];
    return {
      enabled: all.filter(({ isEnabled }) => isEnabled).map((each) => this.enhanced(each)),
      disabled: all.filter(({ isEnabled }) => !isEnabled).map(({ definition }) => definition),
    };
  }

  private enhanced({ definition, handler, schema, layers, parks }: Explored): HandlerDefinition {
    const enhance = this.enhancers.enhance(handler);
    const checked: Around | undefined = schema && ((method) => withSchema(schema, handler.isBatch, method, parks));
    return surrounded(definition, [enhance, checked, ...layers]);
  }

  /** Tables that ORMs of the application know. */
  tables(): TableResolver {
    return new TableResolver(this.providers.instances);
  }

  private *findings(): Generator<Finding> {
    const seen = new Set<object>();
    for (const wrapper of [...this.discovery.getProviders(), ...this.discovery.getControllers()]) {
      const instance = (wrapper.instance ?? standInOf(wrapper)) as object | null | undefined;
      if (instance === null || instance === undefined || typeof instance !== 'object') continue;
      // One object under several tokens (useExisting, or a factory that hands on what it was given) is one handler.
      if (wrapper.isAlias || seen.has(instance)) continue;
      seen.add(instance);
      const prototype = Object.getPrototypeOf(instance) as object | null;
      if (prototype === null || prototype === Object.prototype) continue;
      const className = instance.constructor?.name ?? 'anonymous class';
      for (const methodName of this.scanner.getAllMethodNames(prototype)) {
        // Of the class, not of the instance: there a constructor may have bound it, or a test put a spy in its place.
        const declared = (prototype as Record<string, unknown>)[methodName];
        if (typeof declared !== 'function') continue;
        if (typeof (instance as Record<string, unknown>)[methodName] !== 'function') continue;
        for (const [index, metadata] of handlersOf(prototype, methodName).entries()) {
          const id = metadata.options.id ?? `${className}.${methodName}${index === 0 ? '' : `#${index + 1}`}`;
          yield { metadata, wrapper, instance, className, methodName, declared, id };
        }
      }
    }
  }

  private define(
    { metadata, instance, methodName, id }: Finding,
    app: string,
    override: PgListenerConfig['handlers'][string] | undefined,
  ): HandlerDefinition {
    return {
      id,
      app,
      kind: metadata.kind,
      tables: override?.tables ?? ('tables' in metadata ? metadata.tables : []),
      operations: override?.operations ?? (metadata.kind === 'table' ? metadata.operations : []),
      prefix: metadata.kind === 'message' ? metadata.prefix : null,
      whenChanged: metadata.options.whenChanged ?? [],
      oldRecord: metadata.options.oldRecord ?? [],
      concurrency: override?.concurrency ?? metadata.options.concurrency,
      batch: metadata.options.batch,
      transactional: metadata.options.transactional === true,
      retry: { ...metadata.options.retry, ...override?.retry },
      onExhausted: override?.onExhausted ?? metadata.options.onExhausted,
      instance,
      methodName,
      callback: (instance as Record<string, HandlerMethod>)[methodName]!,
    };
  }
  /** With what a handler leaves to an ORM: which table it is, what its rows are, whose transaction it writes in. */
  private withOrm(
    metadata: HandlerMetadata,
    plain: HandlerDefinition,
    override: PgListenerConfig['handlers'][string] | undefined,
    resolver: TableResolver,
  ): { definition: HandlerDefinition; layers: Layers; misfits: readonly string[] } {
    const { mistakes, around, ...typed } = typeHandler(metadata, plain, override?.tables, resolver);
    const definition = { ...plain, ...typed };
    const mapping: Around | undefined = around && ((method) => around(settled(method)));
    const { transactional } = metadata.options;
    if (!isTransactionAdapter(transactional)) return { definition, layers: [mapping], misfits: mistakes };
    const adapted = { ...definition, transactional: true };
    try {
      return { definition: adapted, layers: [mapping, adaptWith(transactional, this.providers)], misfits: mistakes };
    } catch (error) {
      const misfit = `is transactional with ${transactional.name}, which ${asError(error).message}`;
      return { definition: adapted, layers: [], misfits: [...mistakes, misfit] };
    }
  }

  private get providers(): AdapterProviders {
    const wrappers = this.discovery.getProviders();
    const instanceOf = (wrapper: InstanceWrapper | undefined): unknown => wrapper?.instance as unknown;
    return {
      get: (token) => instanceOf(wrappers.find((each) => each.token === token && instanceOf(each) !== undefined)),
      instances: wrappers.map(instanceOf).filter((each) => typeof each === 'object' && each !== null) as object[],
    };
  }
}

/** Of a class that a request-scoped or transient factory makes, Nest has nothing in the place of an instance. */
function standInOf(wrapper: InstanceWrapper): object | undefined {
  const { token, isAlias } = wrapper;
  if (isAlias || typeof token !== 'function') return undefined;
  if (wrapper.isDependencyTreeStatic() && !wrapper.isTransient) return undefined;
  return Object.create(token.prototype as object) as object;
}

function enhancedHandler(finding: Finding, { globalEnhancers }: PgListenerConfig): EnhancedHandler {
  const { metadata, wrapper, instance, methodName, declared } = finding;
  const isBatch = metadata.options.batch !== undefined;
  return { target: instance.constructor, wrapper, instance, methodName, declared, isBatch, isGlobal: globalEnhancers };
}

/** What a handler of arrays says of its items has to be there before it is told of those that were not meant for it. */
function settled(method: HandlerMethod): HandlerMethod {
  return function (payload, context) {
    return settledResult(method.call(this, payload, context));
  };
}

/** @param layers from within to without */
function surrounded(definition: HandlerDefinition, layers: Layers): HandlerDefinition {
  const given = layers.filter((each) => each !== undefined);
  if (given.length === 0) return definition;
  const around: Around = (method) => given.reduce((inner, layer) => layer(inner), method);
  return { ...definition, around, callback: around(definition.callback) };
}
