export { PgListenerModule, type PgListenerAsyncOptions } from './pg-listener.module.js';
export { PgListener } from './pg-listener.js';
export { PgListenerRegistry } from './pg-listener.registry.js';
export { PgListenerConfig } from './configs/pg-listener-config.js';
export { getChangesToken, getPgListenerConfigToken, getPgListenerToken } from './pg-listener.tokens.js';

export { OnTableChange } from './decorators/on-table-change.decorator.js';
export { OnTransaction } from './decorators/on-transaction.decorator.js';
export { OnLogicalMessage } from './decorators/on-logical-message.decorator.js';
export { OnSchemaChange } from './decorators/on-schema-change.decorator.js';
export { InjectChanges, InjectPgListener, InjectPgListenerConfig } from './decorators/inject.decorators.js';

export { isPgListenerContext } from './enhancers/execution-context.js';

export { changesOf, hasDelete, hasInsert, hasTruncate, hasUpdate } from './changes/transaction-filter.js';

export {
  table,
  type AppName,
  type PgListenerApps,
  type PgListenerTables,
  type RowOf,
  type TableRef,
  type TableSelector,
} from './interfaces/table.interface.js';
export type {
  DriverRow,
  DrizzleTable,
  EntityClass,
  EntitySchemaSource,
  MappedOptions,
  TableSource,
} from './interfaces/orm-table.interface.js';
export type { AdapterProviders, BoundAdapter, TransactionAdapter } from './interfaces/transaction-adapter.interface.js';
export type {
  Change,
  ChangeOf,
  DeleteChange,
  InsertChange,
  Operation,
  SnapshotChange,
  Toastable,
  TruncateChange,
  UpdateChange,
  UpdatedRecord,
} from './interfaces/change.interface.js';
export type { ColumnShape, SchemaChange, SchemaDifference, TableShape } from './interfaces/schema-change.interface.js';
export type {
  LogicalMessage,
  Transaction,
  TransactionContext,
  TransactionSummary,
} from './interfaces/transaction.interface.js';
export type {
  BatchOptions,
  HandlerDecorator,
  HandlerOptions,
  PgListenerContext,
  PlainHandlerOptions,
  SchemaHandlerOptions,
  TransactionalContext,
} from './interfaces/handler.interface.js';
export type {
  StandardSchemaIssue,
  StandardSchemaProps,
  StandardSchemaResult,
  StandardSchemaV1,
  ValidatedChange,
} from './interfaces/standard-schema.interface.js';
export type {
  HandlerOverride,
  LimitsOptions,
  OnExhausted,
  OnGap,
  UnchangedToast,
  ParkedOptions,
  PgListenerAppOptions,
  PgListenerOptions,
  PgListenerOptionsFactory,
  RetryOptions,
  SlotOptions,
  StartupOptions,
  TypesOptions,
} from './interfaces/pg-listener-options.interface.js';
export type { PgRange } from './types/rich/range.js';
export type { ParkedChange, ParkedChanges, ParkedFilter, ParkedOutcome } from './interfaces/parked.interface.js';
export type { GapFilter, GapKind, PgListenerGap } from './interfaces/gap.interface.js';
export type { HandlerDurations, HandlerStats } from './interfaces/handler-stats.interface.js';
export type { MeasureOptions, SlotStats } from './interfaces/slot-stats.interface.js';
export type {
  GapStats,
  PgListenerHealth,
  PgListenerState,
  PgListenerStats,
  PgListenerStatus,
} from './interfaces/status.interface.js';

export {
  PG_LISTENER_CHANNELS,
  type CallMessage,
  type FailureMessage,
  type GapMessage,
  type StatusMessage,
} from './diagnostics/channels.js';

export { PgListenerError, type PgListenerErrorDetails } from './errors/pg-listener.error.js';
export { DecodeError } from './errors/decode.error.js';
export { PgListenerConfigError, type ConfigFault } from './errors/config.error.js';
export { DuplicateAppError, LifecycleError, UnknownAppError } from './errors/app.error.js';
export {
  GuardRefusalError,
  HandlerDefinitionError,
  RowSchemaError,
  TablePatternError,
  TableSourceError,
} from './errors/handler.error.js';
export { MissingPeerError } from './errors/peer.error.js';
export { EffectsInterruptedError, TransactionMisuseError } from './errors/effects.error.js';
export { HandlerHaltError, ParkedFilterError, ParkingError, SpillError } from './errors/delivery.error.js';
export { HaltApp, ParkChange, RetryChange, SkipChange, type VerdictDetails } from './errors/verdict.error.js';
export {
  AuthenticationError,
  ConnectionError,
  GapError,
  PublicationError,
  ServerBusyError,
  ServerSetupError,
  SlotError,
  SlotInUseError,
  StartupTimeoutError,
} from './errors/replication.error.js';
