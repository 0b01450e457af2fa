import type { ArgumentsHost, CanActivate, PipeTransform } from '@nestjs/common';
import { ApplicationConfig, ExternalContextCreator, type NestContainer } from '@nestjs/core';
import { isObservable, lastValueFrom } from 'rxjs';
import { LifecycleError } from '../errors/app.error.js';
import { isVerdict } from '../errors/verdict.error.js';

/** Kinds of parameters. Nest's number of a body, which is that of a message's payload too: pipes are told `'body'`. */
export const PAYLOAD = 3;
/** That of a message's context: pipes are told `'custom'`, but none gets it. */
export const CONTEXT = 6;

type Target = (...parameters: unknown[]) => Promise<unknown>;

/** What Nest keeps for itself, and cannot be had otherwise; the same in 11 and 12. */
interface Inside {
  container?: NestContainer;
  getHostModuleKey?: () => string;
  externalErrorProxy?: {
    createProxy(target: Target, handler: { next: NextOfFilters }, type: string): Target;
  };
}
type NextOfFilters = (error: unknown, host: ArgumentsHost) => unknown;
type CustomFilters = { invokeCustomFilters(error: unknown, host: ArgumentsHost): unknown };

export interface CreatorOptions {
  /** Of the module that provides the handler: there its enhancers are looked for. */
  readonly moduleKey: string;
  /** Whether the application's global enhancers are for the handler too. */
  readonly isGlobal: boolean;
  /** The payload is an array; pipes get its items. */
  readonly isBatch: boolean;
  /** A guard has refused, or failed. @param parameters of the call */
  readonly onRefusal: (guard: string, error: unknown, parameters: readonly unknown[]) => void;
}

/**
 * A creator of its own for one class of handlers: it knows the class's module, leaves global enhancers out where that is
 * wanted, and tells which guard has refused.
 */
export function makeContextCreator(injected: ExternalContextCreator, options: CreatorOptions): ExternalContextCreator {
  const container = containerOf(injected);
  const config = options.isGlobal ? globalConfigOf(injected) : new ApplicationConfig();
  const view = Object.create(container, { applicationConfig: { value: withOurs(config) } }) as NestContainer;
  const creator = ExternalContextCreator.fromContainer(view);
  // Nest looks by the class, and so would miss the guards of a controller, or take those of another module.
  creator.getContextModuleKey = () => options.moduleKey;
  (creator as unknown as Inside).getHostModuleKey = () => options.moduleKey;
  nameGuards(creator, options.onRefusal);
  pipeItems(creator, options.isBatch);
  // One that completes without a value is done, too; Nest would take it for a failure.
  creator.transformToResult = settled;
  letFiltersHandle(creator as unknown as Inside);
  return creator;
}

async function settled(result: unknown): Promise<unknown> {
  return isObservable(result) ? lastValueFrom(result, { defaultValue: undefined }) : result;
}

/** The application's own registry of global enhancers. */
export function globalConfigOf(injected: ExternalContextCreator): ApplicationConfig {
  return containerOf(injected).applicationConfig!;
}

/** @throws LifecycleError where Nest hides it from us */
export function containerOf(injected: ExternalContextCreator): NestContainer {
  const { container } = injected as unknown as Inside;
  if (container?.applicationConfig !== undefined) return container;
  throw new LifecycleError(
    "This version of @nestjs/core does not show its container, and a handler's enhancers need it",
    {
      hint: 'use NestJS 11 or 12.',
    },
  );
}

/** The global ones, and behind them all a filter of ours. */
function withOurs(config: ApplicationConfig): ApplicationConfig {
  return Object.create(config, {
    getGlobalFilters: { value: () => [new Unhandled(), ...config.getGlobalFilters()] },
  }) as ApplicationConfig;
}

/** Comes last: what no filter catches goes on to the handler's policy, which logs it; Nest's own would log it once more. */
class Unhandled {
  catch(error: unknown): never {
    throw error;
  }
}

function nameGuards(creator: ExternalContextCreator, onRefusal: CreatorOptions['onRefusal']): void {
  const create = creator.createGuardsFn.bind(creator);
  creator.createGuardsFn = (guards, ...rest) => {
    if (guards.length === 0) return null;
    const each = (guards as CanActivate[]).map((guard) => [guard.constructor.name, create([guard], ...rest)!] as const);
    return async (parameters: unknown[]) => {
      for (const [name, activate] of each) {
        try {
          await activate(parameters as never);
        } catch (error) {
          onRefusal(name, error, parameters);
          throw error;
        }
      }
    };
  };
}

function pipeItems(creator: ExternalContextCreator, isBatch: boolean): void {
  const pipe = creator.getParamValue.bind(creator);
  creator.getParamValue = async <T>(value: T, metadata: never, pipes: PipeTransform[]) => {
    const { type } = metadata as { type: unknown };
    if (type === CONTEXT) return value;
    if (type !== PAYLOAD || !isBatch) return pipe(value, metadata, pipes);
    return Promise.all((value as unknown[]).map((item) => pipe(item, metadata, pipes)));
  };
}

/**
 * A filter that returns has handled the error, whatever it returns: Nest asks filters that are not async for a value. One that
 * returns an Observable has when that completes: those of microservices return `throwError()`. Verdicts (`SkipChange`,
 * `HaltApp` and the others) are no errors, and no business of filters.
 */
function letFiltersHandle(creator: Inside): void {
  const proxy = creator.externalErrorProxy;
  if (proxy === undefined) throw new LifecycleError('This version of @nestjs/core has no filters for handlers');
  creator.externalErrorProxy = {
    createProxy: (target, handler, type) => {
      const filters = handler as unknown as CustomFilters;
      const next: NextOfFilters = async (error, host) => {
        if (isVerdict(error)) throw error;
        return settled(await filters.invokeCustomFilters(error, host));
      };
      return proxy.createProxy(target, { next }, type);
    },
  };
}
