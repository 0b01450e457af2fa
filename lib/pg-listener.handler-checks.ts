import { isTransactionAdapter } from './adapters/adapted-callback.js';
import { TablePattern } from './changes/table-pattern.js';
import { ON_EXHAUSTED, readConcurrency, readRetry } from './configs/config.resolver.js';
import { kindOf, OptionReader } from './configs/option-reader.js';
import type { PgListenerConfig } from './configs/pg-listener-config.js';
import { PgListenerError } from './errors/pg-listener.error.js';
import type { Operation } from './interfaces/change.interface.js';
import type { HandlerDefinition, HandlerMetadata } from './interfaces/handler-definition.interface.js';
import type { StandardSchemaV1 } from './interfaces/standard-schema.interface.js';

/** What is wrong with a handler by itself, each as the end of a sentence that begins with its place. */
export function mistakesOf(metadata: HandlerMetadata, definition: HandlerDefinition): string[] {
  const { options } = metadata;
  const mistakes: string[] = [];
  const reader = new OptionReader();
  reader.object('options', options, OPTIONS);
  reader.boolean('enabled', options.enabled, true);
  readTransactional(reader, options.transactional);
  readMapped(reader, options.mapped);
  readId(reader, options.id);
  readRetry(reader, 'retry', options.retry);
  reader.oneOf('onExhausted', options.onExhausted, 'block', ON_EXHAUSTED);
  readConcurrency(reader, 'concurrency', options.concurrency);
  readBatch(reader, options.batch);
  reader.strings('whenChanged', options.whenChanged);
  if (options.oldRecord !== 'full') reader.strings('oldRecord', options.oldRecord);
  readSchema(reader, options.schema);
  mistakes.push(...reader.faults.map(({ path, problem }) => `has an invalid option: ${path} ${problem}`));
  if ('tables' in metadata) mistakes.push(...tableMistakes(metadata, definition));
  if (metadata.kind !== 'table') mistakes.push(...plainMistakes(options.schema, definition));
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
  'mapped',
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

function readTransactional(reader: OptionReader, value: unknown): void {
  if (value === undefined || typeof value === 'boolean' || isTransactionAdapter(value)) return;
  reader.fault('transactional', `is ${kindOf(value)}; true, false, typeorm() or drizzle() is wanted`);
}

function readMapped(reader: OptionReader, value: unknown): void {
  if (value === undefined || typeof value === 'boolean') return;
  const { casing } = reader.object('mapped', value, ['casing']);
  reader.oneOf('mapped.casing', casing, undefined as never, ['snake_case', 'camelCase'] as never[]);
}

function readBatch(reader: OptionReader, batch: unknown): void {
  if (batch === undefined) return;
  const given = reader.object('batch', batch, ['size', 'maxWaitMs']);
  reader.number('batch.size', given['size'] ?? Number.NaN, 1, { min: 1 });
  reader.number('batch.maxWaitMs', given['maxWaitMs'], 0, { min: 0, max: 2 ** 31 - 1 });
}

/** Of a handler of whole transactions, messages or schema changes. */
function plainMistakes(schema: unknown, definition: HandlerDefinition): string[] {
  const { kind, whenChanged, oldRecord, concurrency, batch, onExhausted, transactional } = definition;
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

/** Of what the module's options say of a handler. */
export function overrideMistakes(
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
  const mistakes: string[] = [];
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
    // What names no table by itself is told already.
    if (metadata.sources.length === 0 || definition.tables.length > 0) void new TablePattern(definition.tables);
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

interface Twin {
  /** Before anything is put around its method. */
  readonly definition: HandlerDefinition;
  /** Class, method and module. */
  readonly place: string;
}

/** Of two handlers of one app that have one id. */
export function twinMistake(one: Twin, other: Twin): string {
  const { id, instance, callback } = one.definition;
  const isOneClass = callback === other.definition.callback && instance !== other.definition.instance;
  const mend = isOneClass
    ? 'the class is provided twice, and each change would be handled twice. Provide it in one module and export it there'
    : 'give one of them an `id`';
  return `${one.place} and ${other.place} have one id, "${id}": ${mend}`;
}

export function unknownId(id: string, app: string, handlers: readonly { definition: HandlerDefinition }[]): string {
  const known = handlers.filter(({ definition }) => definition.app === app).map(({ definition }) => definition.id);
  return `options.handlers of app "${app}" names "${id}", but its handlers are: ${known.join(', ') || 'none'}`;
}
