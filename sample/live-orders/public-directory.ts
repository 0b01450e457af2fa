import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** Where the page lies: beside this file, or in the sources, when this file was compiled into build/. */
const PLACES = ['public', '../../../sample/live-orders/public'];

export function publicDirectory(): string {
  const found = PLACES.map((place) => join(import.meta.dirname, place)).find((each) => existsSync(each));
  if (found !== undefined) return found;
  throw new Error(`the folder of the page is missing; looked at ${PLACES.join(' and ')} from ${import.meta.dirname}.`);
}
