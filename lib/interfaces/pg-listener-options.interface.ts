import type { ClientConfig } from 'pg';
import type { Operation } from './change.interface.js';

/** How a failing handler is tried again. Delays grow: `minDelayMs * factor ** (attempt - 1)`, at most `maxDelayMs`. */
export interface RetryOptions {
  /** Tries in all, the first included, before `onExhausted` decides. @default 5 */
  readonly attempts?: number;
  /** Milliseconds before the second try. @default 200 */
  readonly minDelayMs?: number;
  /** Milliseconds. @default 30_000 */
  readonly maxDelayMs?: number;
  /** @default 2 */
  readonly factor?: number;
  /** Share of the delay that is random, 0 to 1. @default 0.2 */
  readonly jitter?: number;
}

/**
 * What happens when a handler has used up its attempts.
 *
 * - `'block'`: it is tried on, loudly, the delays growing to `maxDelayMs`; the position holds, nothing is lost and
 *   nothing passes.
 * - `'park'`: the change goes to a table in the source database; what follows for the same primary key waits behind it,
 *   everything else flows on.
 * - `'skip'`: the change is passed over, logged and counted.
 * - `'halt'`: the app stops; the position holds, health is down.
 */
export type OnExhausted = 'block' | 'park' | 'skip' | 'halt';

/** `'none'`: changes that a replication origin has marked are not sent: those that were replicated in from elsewhere. */
export type OriginFilter = 'any' | 'none';

/** What becomes of values that PostgreSQL does not send, because an update did not touch them. */
export type UnchangedToast = 'omit' | 'reread';

/** What happens when changes may be missing. `'continue'`: it is recorded and told, and the stream goes on. */
export type OnGap = 'halt' | 'continue';

export interface LimitsOptions {
  /** Changes received and unfinished, before reading pauses. @default 10_000 */
  readonly changes?: number;
  /** Their bytes on the wire; with `streaming`, besides, those of transactions in progress. @default 16_777_216 (16 MiB) */
  readonly bytes?: number;
}

export interface StartupOptions {
  /** Whether boot waits until the stream runs, or the app stands by. @default true */
  readonly wait?: boolean;
  /** Milliseconds until waiting ends in an error. @default 30_000 */
  readonly timeoutMs?: number;
}

export interface SlotOptions {
  /** Lower-case letters, digits and underscores, at most 63. */
  readonly name: string;
  /** PostgreSQL 17 and later: the slot is synchronised to standbys, and survives a promotion. @default false */
  readonly failover?: boolean;
}

export interface ParkedOptions {
  /** Milliseconds between tries of what is parked, in the background; undefined: only when somebody asks for it. */
  readonly retryEveryMs?: number;
}

/** How values are read, beyond what a query through node-postgres gives. */
export interface TypesOptions {
  /**
   * Whether what node-postgres leaves as text becomes a JavaScript structure: arrays of any type, composite types, ranges and
   * multiranges, `hstore`, domains over them, each in the other. @default false
   */
  readonly rich?: boolean;
  /**
   * Parsers of this app's own, from the text form of a type: by its oid, or by its name as in SQL (`int8`, `mood`,
   * `shop.mood`, `"Mood"`, `mood[]`). A name without a schema is one of `pg_catalog`, or else of `public`. They win over all
   * others; a domain's own over that of its base type; with `rich`, also where the type is within another.
   */
  readonly parsers?: Readonly<Record<string | number, (text: string) => unknown>>;
}

/** Values for one handler that are known only at run time; they win over the decorator's. */
export interface HandlerOverride {
  readonly tables?: string | readonly string[];
  readonly operations?: Operation | readonly Operation[];
  readonly concurrency?: number;
  readonly retry?: RetryOptions;
  readonly onExhausted?: OnExhausted;
  readonly enabled?: boolean;
}

/** What a `forRootAsync` factory returns: everything but `name` and `isGlobal`. */
export interface PgListenerAppOptions {
  /** URL, or node-postgres' ClientConfig. The role needs REPLICATION. */
  readonly connection: string | ClientConfig;
  /**
   * The replication slot: it holds the position and identifies the service. A name (created if missing, durable), or
   * `'temporary'`: a slot that ends with the connection, for looking on; what happens meanwhile is missed.
   */
  readonly slot: string | SlotOptions;
  /** Your own publications; they must exist. Absent: the module creates and extends `pg_listener_<slot>`. */
  readonly publications?: readonly string[];
  /** Tables to listen to, besides those that handlers and `forFeature` name. */
  readonly subscriptions?: readonly string[];
  /** By handler id. */
  readonly handlers?: Readonly<Record<string, HandlerOverride>>;
  readonly retry?: RetryOptions;
  /** @default 'block' */
  readonly onExhausted?: OnExhausted;
  readonly parked?: ParkedOptions;
  /** @default 'halt' */
  readonly onGap?: OnGap;
  /**
   * Name of the service that owns the slot: a process of another one never takes it over. @default `name` of the nearest
   * package.json
   */
  readonly service?: string;
  /**
   * PostgreSQL 16 and later: `'none'` leaves out what bears a replication origin; what `transactional` handlers write bears
   * one then, so that they may write to a table that they listen to. @default 'any'
   */
  readonly origin?: OriginFilter;
  /**
   * Whether the server sends a large transaction (above its `logical_decoding_work_mem`) while it is in progress, instead of
   * keeping it on its own disk until the commit (manual, section 54.5). Handlers see the same either way: what has
   * committed, in commit order. What has come and has not committed is kept in memory up to `limits.bytes` for all
   * transactions together, and beyond that in a file in the folder for temporary files (`TMPDIR`), which needs room for
   * it; where there is none, the app halts with a `SpillError`, and nothing is lost. @default false
   */
  readonly streaming?: boolean;
  /**
   * PostgreSQL 15 and later: whether the server sends a transaction that is prepared for two-phase commit (PREPARE
   * TRANSACTION) when it is prepared, and not only when that is committed (manual, section 54.5, `two_phase`). Handlers see it
   * at COMMIT PREPARED either way; what is prepared meanwhile is kept as with `streaming`, and the position stays before the
   * preparation, so that the server keeps its log from there on. The slot is made for it, and stays so: one that was made
   * without is refused, and so is, without this option, one that was made for it. Not together with `slot.failover`.
   * @default false
   */
  readonly twoPhase?: boolean;
  /**
   * Values travel in PostgreSQL's binary format; handlers get the very same values. Where a table has a column that this
   * format cannot give as text gives it (`money`, `regclass`, a type of an extension that is not known, `timestamptz` under a
   * type parser of your own), the app says so in its log and goes on in text. @default false
   */
  readonly binary?: boolean;
  /**
   * Of a large column that an update did not touch, PostgreSQL sends nothing. `'omit'`: it is absent from `record`, and named
   * in `unchangedToast`. `'reread'`: before handlers are called, it is read from the table, by the row's replica identity;
   * the value may be newer or older than the change, so `rereadToast` names it. What cannot be read stays absent. @default
   * 'omit'
   */
  readonly toast?: UnchangedToast;
  /**
   * How values are read. By default each is what `SELECT` through the application's own node-postgres gives; `'rich'`, short
   * for `{ rich: true }`, makes structures of what that leaves as text.
   */
  readonly types?: 'rich' | TypesOptions;
  /**
   * Whether the application's global guards, pipes, interceptors and filters (`APP_GUARD`, `useGlobalPipes()` and their
   * like) are put around this app's handlers too. Most are written for requests: a guard that looks for a user refuses
   * every change. @default false
   */
  readonly globalEnhancers?: boolean;
  readonly limits?: LimitsOptions;
  /** False: `PgListener.start()` starts the stream. @default true */
  readonly autoStart?: boolean;
  /** False: no connection at all; everything can be injected, nothing is heard. @default true */
  readonly enabled?: boolean;
  readonly startup?: StartupOptions;
  /** Milliseconds that running handlers get when the application closes. @default 10_000 */
  readonly shutdownTimeoutMs?: number;
}

export interface PgListenerOptions extends PgListenerAppOptions {
  /** Name of the app. @default 'default' */
  readonly name?: string;
  /** Whether `PgListener` and `PgListenerConfig` can be injected everywhere. @default true */
  readonly isGlobal?: boolean;
}

/** For `useClass` and `useExisting`. */
export interface PgListenerOptionsFactory {
  createPgListenerOptions(name: string): PgListenerAppOptions | Promise<PgListenerAppOptions>;
}
