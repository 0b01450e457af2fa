import 'reflect-metadata';
import type { HandlerMetadata, StoredHandlerOptions } from '../interfaces/handler-definition.interface.js';
import { HandlerDefinitionError } from '../errors/handler.error.js';
import { HANDLERS_METADATA } from '../pg-listener.constants.js';

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
  Reflect.defineMetadata(HANDLERS_METADATA, [metadata, ...handlersByName(target, key)], target, key);
}

/** @throws HandlerDefinitionError, always */
export function refuse(target: object, key: string | symbol, mistake: string): never {
  const owner = typeof target === 'function' ? target.name : target.constructor.name;
  throw new HandlerDefinitionError([`${owner}.${String(key)} ${mistake}`]);
}

/**
 * What decorators stored for a method of a class, from top to bottom: by its name, where another decorator or a spy has
 * put its own function in its place, else on the function, which may have been taken over from another class. A method
 * that overrides a decorated one has none of its own.
 */
export function handlersOf(prototype: object, name: string): readonly HandlerMetadata[] {
  let owner: object | null = prototype;
  while (owner !== null && !Object.hasOwn(owner, name)) owner = Object.getPrototypeOf(owner) as object | null;
  if (owner === null) return [];
  const named = handlersByName(owner, name);
  return named.length > 0 ? named : handlerMetadata((owner as Record<string, object>)[name]!);
}

function handlersByName(prototype: object, name: string): readonly HandlerMetadata[] {
  return (Reflect.getOwnMetadata(HANDLERS_METADATA, prototype, name) as HandlerMetadata[] | undefined) ?? [];
}

function handlerMetadata(method: object): readonly HandlerMetadata[] {
  return (Reflect.getMetadata(HANDLERS_METADATA, method) as HandlerMetadata[] | undefined) ?? [];
}

export function storedOptions(options: unknown): StoredHandlerOptions {
  return (options ?? {}) as StoredHandlerOptions;
}
