import { Injectable } from '@nestjs/common';
import { ExternalContextCreator, ModuleRef, type ContextId, type DiscoveryService } from '@nestjs/core';
import { GuardRefusalError } from '../errors/handler.error.js';
import { isVerdict } from '../errors/verdict.error.js';
import type { HandlerMethod } from '../interfaces/handler-definition.interface.js';
import type { PgListenerContext } from '../interfaces/handler.interface.js';
import { CONTEXT, containerOf, globalConfigOf, makeContextCreator, PAYLOAD } from './context-creator.js';
import { copyMarks, enhancerMistakes, enhancersAt, hasEnhancers, parametersAt } from './declared-enhancers.js';
import type { HandlerPlace } from './declared-enhancers.js';
import { CONTEXT_TYPE } from './execution-context.js';
import { TransactionScopes } from './transaction-scopes.js';

type InstanceWrapper = ReturnType<DiscoveryService['getProviders']>[number];
type ApplicationConfig = ReturnType<typeof globalConfigOf>;

/** The parameters of our handlers, for Nest; under a key of ours, beside those of the user's decorators. */
const PARAMETERS = 'pg-listener:parameters';
const parametersFactory = {
  exchangeKeyForValue: (type: number, _data: unknown, given: unknown[]) => given[type === PAYLOAD ? 0 : 1],
};
const ALL_KINDS = { guards: true, interceptors: true, filters: true };

/** A decorated method that was found in the application. */
export interface EnhancedHandler extends HandlerPlace {
  readonly wrapper: InstanceWrapper;
  readonly instance: object;
  readonly isBatch: boolean;
  /** Whether the application's global enhancers are for it too. */
  readonly isGlobal: boolean;
}

/**
 * Puts what Nest users put around handlers (guards, pipes, interceptors, filters, parameter decorators, scopes) around
 * those that ask for it; the others are left as they are.
 */
@Injectable()
export class HandlerEnhancers {
  private readonly scopes = new TransactionScopes();

  constructor(private readonly creator: ExternalContextCreator) {}

  /** In words that follow the handler's name. */
  mistakesOf(handler: EnhancedHandler): string[] {
    const { wrapper } = handler;
    const mistakes = enhancerMistakes(handler, (enhancer) => wrapper.host?.injectables.has(enhancer as never) === true);
    if (wrapper.isTransient) {
      mistakes.push('is transient; use Scope.REQUEST, which makes one for each transaction, or a singleton');
    }
    return mistakes;
  }

  /** @returns what makes the handler of its method; undefined: the method itself is the handler */
  enhance(handler: EnhancedHandler): ((method: HandlerMethod) => HandlerMethod) | undefined {
    const scoped = handler.isGlobal ? this.scopedGlobals() : [];
    const isScoped = !handler.wrapper.isDependencyTreeStatic() || scoped.length > 0;
    const isEnhanced = hasEnhancers(handler) || (handler.isGlobal && this.hasGlobals());
    if (!isScoped && !isEnhanced) return undefined;
    const around = isEnhanced ? this.around(handler) : bound;
    if (!isScoped) return (method) => around(handler.instance, method);
    return (method) => this.inScope(handler, scoped, (instance, contextId) => around(instance, method, contextId));
  }

  /** A function that puts the enhancers around a method of an instance. */
  private around(handler: EnhancedHandler): Around {
    const { methodName, declared, wrapper, isGlobal, isBatch } = handler;
    // By the payload, which is one call's at a time: the error may be anything, and an object that others throw too.
    const refusals = new WeakMap<object, { readonly guard: string; readonly error: unknown }>();
    const creator = makeContextCreator(this.creator, {
      moduleKey: this.moduleKeyOf(wrapper),
      isGlobal,
      isBatch,
      onRefusal: (guard, error, [payload]) => {
        if (!isVerdict(error)) refusals.set(payload as object, { guard, error });
      },
    });
    const parametersKey = this.describeParameters(handler);
    return (instance, method, contextId) => {
      copyMarks(declared, method);
      const call = creator.create(
        instance as never,
        method,
        methodName,
        parametersKey,
        parametersFactory,
        contextId,
        // Nest makes transient enhancers for each provider, and finds them by it.
        wrapper.id,
        ALL_KINDS,
        CONTEXT_TYPE,
      ) as HandlerMethod;
      return async (payload, context) => {
        try {
          return await call.call(instance, payload, context);
        } catch (error) {
          const refusal = refusals.get(payload as object);
          refusals.delete(payload as object);
          throw refusal !== undefined && refusal.error === error ? new GuardRefusalError(refusal.guard, error) : error;
        }
      };
    };
  }

  /** @returns the key of their description; undefined: nothing but the change and the context, as they are */
  private describeParameters(handler: EnhancedHandler): string | undefined {
    const custom = parametersAt(handler);
    const hasPipes =
      enhancersAt(handler, 'pipe').length > 0 || (handler.isGlobal && globalsOf(this.config).pipes.length > 0);
    if (!hasPipes && Object.keys(custom).length === 0) return undefined;
    const ours = {
      [`${PAYLOAD}:0`]: { index: 0, pipes: [] },
      [`${CONTEXT}:1`]: { index: 1, pipes: [] },
    };
    Reflect.defineMetadata(PARAMETERS, { ...custom, ...ours }, handler.target, handler.methodName);
    return PARAMETERS;
  }

  private inScope(
    handler: EnhancedHandler,
    scopedGlobals: readonly InstanceWrapper[],
    around: (instance: object, contextId: ContextId) => HandlerMethod,
  ): HandlerMethod {
    const { wrapper } = handler;
    const modules = modulesOf(wrapper);
    const mine = wrapper.getEnhancersMetadata() ?? [];
    const globals = this.scopedGlobals();
    // Nest makes those of a controller with it.
    const leftOut = handler.isGlobal ? [] : globals.filter((each) => mine.includes(each));
    // Of a singleton, Nest makes them for calls outside of scopes only.
    const transient = wrapper.isDependencyTreeStatic() ? mine.filter(({ isTransient }) => isTransient) : [];
    const own = [...scopedGlobals, ...transient.filter((each) => !globals.includes(each))];
    const make = async (contextId: ContextId): Promise<HandlerMethod> => {
      for (const each of leftOut) leaveOut(each, contextId, wrapper);
      for (const each of own) await makeFor(each, contextId, wrapper);
      return around(await modules.resolve<object>(wrapper.token as never, contextId), contextId);
    };
    const { scopes } = this;
    return async (payload, context) => {
      const { transaction } = context as PgListenerContext;
      const method = await scopes.method(transaction, modules, handler, make);
      return method.call(handler.instance, payload, context);
    };
  }

  private get config(): ApplicationConfig {
    return globalConfigOf(this.creator);
  }

  private hasGlobals(): boolean {
    const globals = globalsOf(this.config);
    return Object.values(globals).some((each) => each.length > 0) || this.scopedGlobals().length > 0;
  }

  /** Global enhancers that are made for each request. */
  private scopedGlobals(): InstanceWrapper[] {
    const { config } = this;
    return [
      ...config.getGlobalRequestGuards(),
      ...config.getGlobalRequestPipes(),
      ...config.getGlobalRequestInterceptors(),
      ...config.getGlobalRequestFilters(),
    ] as InstanceWrapper[];
  }

  private moduleKeyOf({ host }: InstanceWrapper): string {
    for (const [key, module] of containerOf(this.creator).getModules()) if (module === host) return key;
    return '';
  }
}

type Around = (instance: object, method: HandlerMethod, contextId?: ContextId) => HandlerMethod;

const bound: Around = (instance, method) => (payload, context) => method.call(instance, payload, context);

/** As a transient one is found, where it is: by whom it is for. */
async function makeFor(enhancer: InstanceWrapper, contextId: ContextId, { id }: InstanceWrapper): Promise<void> {
  const instance = await modulesOf(enhancer).resolve<object>(enhancer.token as never, contextId);
  if (!enhancer.isTransient) return;
  enhancer.setInstanceByContextId(contextIdOf(enhancer, contextId), { instance, isResolved: true }, id);
}

/** Its constructor may ask for a request. One that is durable is shared with requests, under another id, and is made. */
function leaveOut(enhancer: InstanceWrapper, contextId: ContextId, { id }: InstanceWrapper): void {
  enhancer.setInstanceByContextId(contextId, { instance: {}, isResolved: true }, id);
}

function contextIdOf(wrapper: InstanceWrapper, contextId: ContextId): ContextId {
  const isTreeDurable = !wrapper.isTransient && wrapper.isDependencyTreeDurable();
  return contextId.getParent?.({ token: wrapper.token, isTreeDurable }) ?? contextId;
}

function globalsOf(config: ApplicationConfig): Record<'guards' | 'pipes' | 'interceptors' | 'filters', unknown[]> {
  return {
    guards: config.getGlobalGuards(),
    pipes: config.getGlobalPipes(),
    interceptors: config.getGlobalInterceptors(),
    filters: config.getGlobalFilters(),
  };
}

/** The module's own view of what it provides: another module may provide the class too. */
function modulesOf({ host }: InstanceWrapper): ModuleRef {
  return host!.getProviderByKey(ModuleRef).instance as ModuleRef;
}
