import 'reflect-metadata';
import type { HandlerMetadata, StoredHandlerOptions } from '../interfaces/handler-definition.interface.js';
import { HandlerDefinitionError } from '../errors/handler.error.js';
import { HANDLERS_METADATA } from '../pg-listener.constants.js';

/**
 * Adds to what is stored on the method already, so that decorators can be stacked; the upper one comes first.
 *
 * @throws HandlerDefinitionError on what Nest would never find: a static method, a property, an accessor
 */
export function addHandlerMetadata(
  target: object,
  key: string | symbol,
  descriptor: PropertyDescriptor | undefined,
  metadata: HandlerMetadata,
): void {
  const method: unknown = descriptor?.value;
  if (typeof method !== 'function' || typeof target === 'function') {
    const owner = typeof target === 'function' ? target.name : target.constructor.name;
    const what = typeof method === 'function' ? 'is static' : 'is no method';
    throw new HandlerDefinitionError([`${owner}.${String(key)} ${what}; handlers are methods of instances`]);
  }
  const present = handlerMetadata(method);
  Reflect.defineMetadata(HANDLERS_METADATA, [metadata, ...present], method);
}

/** What the decorators stored on a method, from top to bottom. */
export function handlerMetadata(method: object): readonly HandlerMetadata[] {
  return (Reflect.getMetadata(HANDLERS_METADATA, method) as HandlerMetadata[] | undefined) ?? [];
}

export function storedOptions(options: unknown): StoredHandlerOptions {
  return (options ?? {}) as StoredHandlerOptions;
}
