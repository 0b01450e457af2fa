import { Injectable } from '@nestjs/common';
import { DiscoveryService, MetadataScanner } from '@nestjs/core';
import { kindOf, OptionReader } from './configs/option-reader.js';
import { ON_EXHAUSTED, readConcurrency, readRetry } from './configs/config.resolver.js';
import type { PgListenerConfig } from './configs/pg-listener-config.js';
import { TablePattern } from './changes/table-pattern.js';
import { handlersOf } from './decorators/handler-metadata.js';
import { HandlerEnhancers, type EnhancedHandler } from './enhancers/handler-enhancers.js';
import { HandlerDefinitionError } from './errors/handler.error.js';
import { PgListenerError } from './errors/pg-listener.error.js';
import type { Operation } from './interfaces/change.interface.js';
import type { HandlerDefinition, HandlerMetadata, HandlerMethod } from './interfaces/handler-definition.interface.js';
import type { StandardSchemaV1 } from './interfaces/standard-schema.interface.js';
import { DEFAULT_APP_NAME } from './pg-listener.constants.js';

type InstanceWrapper = ReturnType<DiscoveryService['getProviders']>[number];

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
  explore(configs: ReadonlyMap<string, PgListenerConfig>): ExploredHandlers {
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
      const definition = this.define(finding, app, override);
      const handler = enhancedHandler(finding, config);
      const mine = [...this.enhancers.mistakesOf(handler), ...mistakesOf(finding, definition)];
      mistakes.push(...mine.map((mistake) => `${place} ${mistake}`));
      const key = `${app}\0${definition.id}`;
      const twin = handlers.get(key);
      if (override !== undefined) mistakes.push(...overrideMistakes(definition, override));
      if (twin !== undefined) mistakes.push(twinMistake({ definition, place }, twin));
      const isEnabled = override?.enabled ?? finding.metadata.options.enabled ?? true;
      handlers.set(key, { definition, handler, place, isEnabled });
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

  private enhanced({ definition, handler }: Explored): HandlerDefinition {
    const enhance = this.enhancers.enhance(handler);
    return enhance === undefined ? definition : { ...definition, enhance, callback: enhance(definition.callback) };
  }

  private *findings(): Generator<Finding> {
    const seen = new Set<object>();
    for (const wrapper of [...this.discovery.getProviders(), ...this.discovery.getControllers()]) {
      const instance = wrapper.instance as object | null | undefined;
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
      schema: metadata.options.schema,
      retry: { ...metadata.options.retry, ...override?.retry },
      onExhausted: override?.onExhausted ?? metadata.options.onExhausted,
      instance,
      methodName,
      callback: (instance as Record<string, HandlerMethod>)[methodName]!,
    };
  }
}

function enhancedHandler(finding: Finding, { globalEnhancers }: PgListenerConfig): EnhancedHandler {
  const { metadata, wrapper, instance, methodName, declared } = finding;
  const isBatch = metadata.options.batch !== undefined;
  return { target: instance.constructor, wrapper, instance, methodName, declared, isBatch, isGlobal: globalEnhancers };
}

function mistakesOf({ metadata }: Finding, definition: HandlerDefinition): string[] {
  const mistakes: string[] = [];
  const reader = new OptionReader();
  reader.object('options', metadata.options, OPTIONS);
  reader.boolean('enabled', metadata.options.enabled, true);
  reader.boolean('transactional', metadata.options.transactional, false);
  readId(reader, metadata.options.id);
  readRetry(reader, 'retry', metadata.options.retry);
  reader.oneOf('onExhausted', metadata.options.onExhausted, 'block', ON_EXHAUSTED);
  readConcurrency(reader, 'concurrency', metadata.options.concurrency);
  readBatch(reader, metadata.options.batch);
  reader.strings('whenChanged', metadata.options.whenChanged);
  if (metadata.options.oldRecord !== 'full') reader.strings('oldRecord', metadata.options.oldRecord);
  readSchema(reader, metadata.options.schema);
  mistakes.push(...reader.faults.map(({ path, problem }) => `has an invalid option: ${path} ${problem}`));
  if ('tables' in metadata) mistakes.push(...tableMistakes(metadata, definition));
  if (metadata.kind !== 'table') mistakes.push(...plainMistakes(definition));
  return mistakes;
}

const OPTIONS = [
  'id',
  'app',
  'retry',
  'onExhausted',
  'enabled',
  'concurrency',
  'batch',
  'transactional',
  'whenChanged',
  'oldRecord',
  'schema',
];

function readSchema(reader: OptionReader, schema: unknown): void {
  if (schema === undefined) return;
  // Those of arktype are functions.
  const isObject = (typeof schema === 'object' && schema !== null) || typeof schema === 'function';
  const standard = isObject ? (schema as Partial<StandardSchemaV1>)['~standard'] : undefined;
  if (standard?.version === 1 && typeof standard.validate === 'function') return;
  reader.fault('schema', `is ${kindOf(schema)} that is no Standard Schema; one of zod, valibot, arktype is wanted`);
}

function readId(reader: OptionReader, id: unknown): void {
  if (id === undefined || (typeof id === 'string' && id !== '')) return;
  reader.fault('id', `is ${kindOf(id)}; a name is wanted`);
}

function readBatch(reader: OptionReader, batch: unknown): void {
  if (batch === undefined) return;
  const given = reader.object('batch', batch, ['size', 'maxWaitMs']);
  reader.number('batch.size', given['size'] ?? Number.NaN, 1, { min: 1 });
  reader.number('batch.maxWaitMs', given['maxWaitMs'], 0, { min: 0, max: 2 ** 31 - 1 });
}

/** Of a handler of whole transactions, messages or schema changes. */
function plainMistakes(definition: HandlerDefinition): string[] {
  const { kind, whenChanged, oldRecord, concurrency, batch, schema, onExhausted, transactional } = definition;
  const mistakes: string[] = [];
  if (whenChanged.length > 0) mistakes.push('asks for `whenChanged`, which is for updates of @OnTableChange');
  if (oldRecord.length > 0) mistakes.push('asks for `oldRecord`, which is for @OnTableChange');
  if (concurrency !== undefined) mistakes.push('asks for `concurrency`, which needs rows with keys: @OnTableChange');
  if (batch !== undefined) mistakes.push('asks for `batch`, which is for @OnTableChange');
  if (schema !== undefined) mistakes.push('asks for `schema`, which is for rows: @OnTableChange');
  if (kind === 'transaction' && onExhausted === 'park') {
    mistakes.push("asks for onExhausted 'park'; a whole transaction cannot be parked: use 'block', 'skip' or 'halt'");
  }
  if (kind === 'schema' && onExhausted === 'park') {
    mistakes.push("asks for onExhausted 'park'; a schema change comes before its rows: use 'block', 'skip' or 'halt'");
  }
  if (kind === 'schema' && transactional) mistakes.push('asks for `transactional`, which a schema change cannot have');
  return mistakes;
}

function overrideMistakes(
  { id, app, kind }: HandlerDefinition,
  override: PgListenerConfig['handlers'][string],
): string[] {
  if (kind === 'table' || (override.tables === undefined && override.operations === undefined)) return [];
  if (kind === 'schema' && override.operations === undefined) return [];
  return [`options.handlers of app "${app}" gives tables or operations to "${id}", which is no @OnTableChange`];
}

const OPERATIONS: readonly Operation[] = ['insert', 'update', 'delete', 'truncate'];

function tableMistakes(
  metadata: HandlerMetadata & { kind: 'table' | 'schema' },
  definition: HandlerDefinition,
): string[] {
  const mistakes = metadata.entities.map(
    (name) => `names its table by the class ${name}; this version takes names and table<Row>(name)`,
  );
  for (const operation of definition.operations) {
    if (OPERATIONS.includes(operation)) continue;
    mistakes.push(
      operation === 'snapshot'
        ? `asks for the operation 'snapshot', which this version does not have yet`
        : `names the unknown operation '${String(operation)}'; known are ${OPERATIONS.join(', ')}`,
    );
  }
  mistakes.push(...columnMistakes(definition));
  try {
    if (metadata.entities.length === 0) void new TablePattern(definition.tables);
  } catch (error) {
    if (!(error instanceof PgListenerError)) throw error;
    mistakes.push(`has a table that cannot be read: ${error.message}`);
  }
  return mistakes;
}

/** Options about columns need operations that tell of them. */
function columnMistakes({ operations, whenChanged, oldRecord }: HandlerDefinition): string[] {
  const listens = (...wanted: Operation[]): boolean =>
    operations.length === 0 || operations.some((operation) => wanted.includes(operation));
  const mistakes: string[] = [];
  if (whenChanged.length > 0 && !listens('update')) {
    mistakes.push('asks for `whenChanged`, which is about updates, and does not listen to them');
  }
  if (oldRecord.length > 0 && !listens('update', 'delete')) {
    mistakes.push('asks for `oldRecord`, which updates and deletes have, and listens to neither');
  }
  return mistakes;
}

type Twin = Pick<Explored, 'definition' | 'place'>;

function twinMistake(one: Twin, other: Twin): string {
  const { id, instance, callback } = one.definition;
  const isOneClass = callback === other.definition.callback && instance !== other.definition.instance;
  const mend = isOneClass
    ? 'the class is provided twice, and each change would be handled twice. Provide it in one module and export it there'
    : 'give one of them an `id`';
  return `${one.place} and ${other.place} have one id, "${id}": ${mend}`;
}

function unknownId(id: string, app: string, handlers: readonly { definition: HandlerDefinition }[]): string {
  const known = handlers.filter(({ definition }) => definition.app === app).map(({ definition }) => definition.id);
  return `options.handlers of app "${app}" names "${id}", but its handlers are: ${known.join(', ') || 'none'}`;
}
