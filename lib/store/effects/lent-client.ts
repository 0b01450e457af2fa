import type { PoolClient } from 'pg';
import { TransactionMisuseError } from '../../errors/effects.error.js';

/** What would end the transaction, or begin another one; savepoints are the handler's to use. */
const ENDS_TRANSACTION =
  /^(?:\s+|--[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\/)*(?:begin|start\s+transaction|commit|end|abort|prepare\s+transaction|rollback(?!\s+(?:(?:work|transaction)\s+)?to\b))\b/i;
const NOT_FOR_HANDLERS = new Set<string | symbol>(['release', 'end', 'connect', '_end']);

/** A client as a handler gets it: of no use when the call is over, and unable to end the transaction. */
export interface LentClient {
  readonly client: PoolClient;
  /** Queries whose promises or callbacks are not settled. */
  readonly pending: number;
  /** Something else was given to `query`, such as a cursor: only the connection tells whether it is over. */
  readonly hasSubmitted: boolean;
  /** The call is over. */
  takeBack(): void;
}

export function lendClient(client: PoolClient, app: string, handler: string): LentClient {
  let isOver = false;
  let pending = 0;
  let hasSubmitted = false;
  const settled = (): void => void pending--;
  const send = (given: unknown[]): unknown => (client.query as (...each: unknown[]) => unknown).apply(client, given);
  const watched = (given: unknown[]): unknown => {
    const callback = given.at(-1);
    if (isFunction(callback)) {
      pending++;
      return send([...given.slice(0, -1), (...answer: unknown[]) => (settled(), callback(...answer))]);
    }
    const result = send(given);
    if (result instanceof Promise) {
      pending++;
      result.then(settled, settled);
    } else hasSubmitted = true;
    return result;
  };
  const refuse = (what: string, hint: string): never => {
    throw new TransactionMisuseError(`Handler ${handler} ${what}`, { app, hint });
  };
  const query = (...given: unknown[]): unknown => {
    if (isOver) {
      refuse(
        'queries `context.client` after its call is over',
        'all queries have to be over before the handler returns: what comes later would belong to another change.',
      );
    }
    if (ENDS_TRANSACTION.test(textOf(given[0]))) {
      refuse(
        'begins or ends a transaction on `context.client`',
        'the package commits when the handler returns, and rolls back when it throws; within, use SAVEPOINT.',
      );
    }
    return watched(given);
  };
  const lent = new Proxy(client, {
    get(target, property) {
      if (property === 'query') return query;
      if (NOT_FOR_HANDLERS.has(property)) {
        return () => refuse(`calls ${String(property)}() on \`context.client\``, 'the package opens and closes it.');
      }
      const value: unknown = Reflect.get(target, property, target);
      return typeof value === 'function' ? (value as (...parameters: never[]) => unknown).bind(target) : value;
    },
  });
  return {
    client: lent,
    get pending() {
      return pending;
    },
    get hasSubmitted() {
      return hasSubmitted;
    },
    takeBack: () => void (isOver = true),
  };
}

function isFunction(value: unknown): value is (...parameters: unknown[]) => unknown {
  return typeof value === 'function';
}

/** Of a text, of node-postgres' `{ text }`, or of a cursor. */
function textOf(query: unknown): string {
  if (typeof query === 'string') return query;
  const { text, cursor } = (query ?? {}) as { text?: unknown; cursor?: { text?: unknown } };
  const found = text ?? cursor?.text;
  return typeof found === 'string' ? found : '';
}
