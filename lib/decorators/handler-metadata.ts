import 'reflect-metadata';
import type { HandlerMetadata, StoredHandlerOptions } from '../interfaces/handler-definition.interface.js';
import { HandlerDefinitionError } from '../errors/handler.error.js';
import { DECORATED_METADATA, HANDLERS_METADATA } from '../pg-listener.constants.js';

/**
 * Adds to what is stored on the method already, so that decorators can be stacked; the upper one comes first.
 *
 * @throws HandlerDefinitionError on what Nest would never find: a static method, a property, an accessor, a symbol
 */
export function addHandlerMetadata(
  target: object,
  key: string | symbol,
  descriptor: PropertyDescriptor | undefined,
  metadata: HandlerMetadata,
): void {
  const method: unknown = descriptor?.value;
  if (typeof method !== 'function' || typeof target === 'function') {
    const what = typeof method === 'function' ? 'is static' : 'is no method';
    refuse(target, key, `${what}; handlers are methods of instances`);
  }
  // Nest's scanner knows names only.
  if (typeof key === 'symbol')
    refuse(target, key, 'has a symbol for a name; handlers are found by a name that is a string');
  const present = handlerMetadata(method);
  Reflect.defineMetadata(HANDLERS_METADATA, [metadata, ...present], method);
  Reflect.defineMetadata(DECORATED_METADATA, [...decoratedMethods(target), key], target);
}

/** @throws HandlerDefinitionError, always */
export function refuse(target: object, key: string | symbol, mistake: string): never {
  const owner = typeof target === 'function' ? target.name : target.constructor.name;
  throw new HandlerDefinitionError([`${owner}.${String(key)} ${mistake}`]);
}

/** Names of the methods that were decorated in this very class, not in one that it extends. */
export function decoratedMethods(prototype: object): readonly string[] {
  return (Reflect.getOwnMetadata(DECORATED_METADATA, prototype) as string[] | undefined) ?? [];
}

/** What the decorators stored on a method, from top to bottom. */
export function handlerMetadata(method: object): readonly HandlerMetadata[] {
  return (Reflect.getMetadata(HANDLERS_METADATA, method) as HandlerMetadata[] | undefined) ?? [];
}

export function storedOptions(options: unknown): StoredHandlerOptions {
  return (options ?? {}) as StoredHandlerOptions;
}
