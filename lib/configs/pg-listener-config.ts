import { createHash } from 'node:crypto';
import type { ClientConfig } from 'pg';
import type { Operation } from '../interfaces/change.interface.js';
import type {
  OnExhausted,
  OnGap,
  OriginFilter,
  UnchangedToast,
  ParkedOptions,
  RetryOptions,
} from '../interfaces/pg-listener-options.interface.js';

/** PostgreSQL's 63 bytes, less room for `_append`. */
const LONGEST_MANAGED = 56;

export interface ResolvedSlot {
  /** Null: a temporary slot, named anew for each connection. */
  readonly name: string | null;
  /** Whether it is to be synchronised to standbys. */
  readonly failover: boolean;
}

export interface ResolvedHandlerOverride {
  readonly tables: readonly string[] | undefined;
  readonly operations: readonly Operation[] | undefined;
  readonly concurrency: number | undefined;
  readonly retry: RetryOptions | undefined;
  readonly onExhausted: OnExhausted | undefined;
  readonly enabled: boolean | undefined;
}

export interface ResolvedTypes {
  readonly rich: boolean;
  /** By a type's oid or name. */
  readonly parsers: Readonly<Record<string, (text: string) => unknown>>;
}

/** Everything of a configuration, as `resolveConfig` works it out. */
export interface ResolvedConfig {
  readonly name: string;
  readonly connection: ClientConfig;
  readonly slot: ResolvedSlot;
  /** The user's own; null: managed by the module. */
  readonly publications: readonly string[] | null;
  readonly subscriptions: readonly string[];
  readonly handlers: Readonly<Record<string, ResolvedHandlerOverride>>;
  readonly retry: Required<RetryOptions>;
  readonly onExhausted: OnExhausted;
  readonly parked: ParkedOptions;
  readonly onGap: OnGap;
  /** Undefined: that of the nearest package.json. */
  readonly service: string | undefined;
  readonly origin: OriginFilter;
  readonly streaming: boolean;
  readonly twoPhase: boolean;
  /** Whether values travel in the binary format, where it gives what text gives. */
  readonly binary: boolean;
  readonly toast: UnchangedToast;
  readonly types: ResolvedTypes;
  /** Whether the application's global guards, pipes, interceptors and filters are for handlers too. */
  readonly globalEnhancers: boolean;
  readonly limits: { readonly changes: number; readonly bytes: number };
  readonly autoStart: boolean;
  readonly enabled: boolean;
  readonly startup: { readonly wait: boolean; readonly timeoutMs: number };
  readonly shutdownTimeoutMs: number;
}

/**
 * The resolved configuration of one app: every default filled in, validated, deeply frozen. For the default app the
 * class is the injection token, for others `@InjectPgListenerConfig(name)`.
 *
 * @publicApi
 */
export class PgListenerConfig implements ResolvedConfig {
  readonly name!: string;
  /** Not enumerable: it holds the password, and must not show when the configuration is logged. */
  declare readonly connection: ClientConfig;
  readonly slot!: ResolvedSlot;
  readonly publications!: readonly string[] | null;
  readonly subscriptions!: readonly string[];
  readonly handlers!: Readonly<Record<string, ResolvedHandlerOverride>>;
  readonly retry!: Required<RetryOptions>;
  readonly onExhausted!: OnExhausted;
  readonly parked!: ParkedOptions;
  readonly onGap!: OnGap;
  readonly service!: string | undefined;
  readonly origin!: OriginFilter;
  readonly streaming!: boolean;
  readonly twoPhase!: boolean;
  readonly binary!: boolean;
  readonly toast!: UnchangedToast;
  readonly types!: ResolvedTypes;
  readonly globalEnhancers!: boolean;
  readonly limits!: { readonly changes: number; readonly bytes: number };
  readonly autoStart!: boolean;
  readonly enabled!: boolean;
  readonly startup!: { readonly wait: boolean; readonly timeoutMs: number };
  readonly shutdownTimeoutMs!: number;

  constructor({ connection, ...rest }: ResolvedConfig) {
    Object.assign(this, rest);
    for (const value of Object.values(rest)) deepFreeze(value);
    // The connection's `ssl` may hold buffers and `types` functions, which are the user's own: frozen at the top only.
    Object.defineProperty(this, 'connection', { value: Object.freeze({ ...connection }), enumerable: false });
    Object.freeze(this);
  }

  /** The publication that the module creates and extends where the user names none. */
  get managedPublication(): string {
    const name = `pg_listener_${this.slot.name ?? 'temporary'}`;
    if (name.length <= LONGEST_MANAGED) return name;
    const hash = createHash('sha256').update(name).digest('hex').slice(0, 8);
    return `${name.slice(0, LONGEST_MANAGED - 9)}_${hash}`;
  }
}

function deepFreeze(value: unknown): void {
  if (value === null || typeof value !== 'object' || Object.isFrozen(value)) return;
  Object.freeze(value);
  for (const inner of Object.values(value)) deepFreeze(inner);
}
