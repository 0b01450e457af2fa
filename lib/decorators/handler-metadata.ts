import 'reflect-metadata';
import type { HandlerMetadata, StoredHandlerOptions } from '../interfaces/handler-definition.interface.js';
import { HANDLERS_METADATA } from '../pg-listener.constants.js';

/** Adds to what is stored on the method already, so that decorators can be stacked; the upper one comes first. */
export function addHandlerMetadata(descriptor: PropertyDescriptor, metadata: HandlerMetadata): void {
  const method = descriptor.value as object;
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
