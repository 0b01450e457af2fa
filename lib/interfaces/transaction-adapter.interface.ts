import type { PoolClient } from 'pg';

/** The application's providers, when it has initialised. */
export interface AdapterProviders {
  /** @returns undefined where nothing is provided under the token */
  get(token: unknown): unknown;
  /** Every instance. */
  readonly instances: Iterable<object>;
}

/** What an adapter makes of a client, for one handler. */
export interface BoundAdapter<Extra extends object> {
  /**
   * Called for each call of the handler, in its transaction. Must not query, and has nothing to close.
   *
   * @param client as `context.client`: it cannot end the transaction, and refuses when the call is over
   * @returns what the handler's context has besides
   */
  enter(client: PoolClient): Extra;
}

/**
 * Lets a `transactional` handler work with something else than a client: the seam between this package and an ORM. The
 * transaction stays ours.
 *
 * @example
 * const kysely: TransactionAdapter<{ db: Kysely<Tables> }> = {
 *   name: 'kysely',
 *   bind: () => ({ enter: (client) => ({ db: kyselyOver(client) }) }),
 * };
 */
export interface TransactionAdapter<Extra extends object = object> {
  /** For errors and logs. */
  readonly name: string;
  /** At boot, once for each handler that asks for it. @throws Error what it says fails the boot */
  bind(providers: AdapterProviders): BoundAdapter<Extra>;
}
