import { ContextIdFactory, type ContextId, type ModuleRef } from '@nestjs/core';
import type { HandlerMethod } from '../interfaces/handler-definition.interface.js';
import type { TransactionContext } from '../interfaces/transaction.interface.js';

/** What is made for one transaction. */
interface Scope {
  readonly contextId: ContextId;
  /** By handler; made when it is called first. */
  readonly methods: Map<object, Promise<HandlerMethod>>;
}

/**
 * The scopes of request-scoped handlers: one for each transaction, shared by all of them. `REQUEST` is the transaction, as in
 * `context.transaction`. A scope ends when nobody holds its transaction any more.
 */
export class TransactionScopes {
  private readonly scopes = new WeakMap<TransactionContext, Scope>();

  /** @param make the handler's method in the scope; called once in it, again only where it has failed */
  method(
    transaction: TransactionContext,
    modules: ModuleRef,
    handler: object,
    make: (contextId: ContextId) => Promise<HandlerMethod>,
  ): Promise<HandlerMethod> {
    const scope = this.scopeOf(transaction, modules);
    const { contextId, methods } = scope;
    const present = methods.get(handler);
    if (present !== undefined) return present;
    const made = make(contextId);
    methods.set(handler, made);
    // Not this scope again: Nest remembers what has failed in it. By now there may be another one.
    made.catch(() => {
      if (this.scopes.get(transaction) === scope) this.scopes.delete(transaction);
    });
    return made;
  }

  private scopeOf(transaction: TransactionContext, modules: ModuleRef): Scope {
    let scope = this.scopes.get(transaction);
    if (scope === undefined) {
      // By the request, for the strategy of durable providers, where the application has one.
      const contextId = ContextIdFactory.getByRequest(transaction);
      modules.registerRequestByContextId(transaction, contextId);
      scope = { contextId, methods: new Map() };
      this.scopes.set(transaction, scope);
    }
    return scope;
  }
}
