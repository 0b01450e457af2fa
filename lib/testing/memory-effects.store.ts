import { LifecycleError } from '../errors/app.error.js';
import type { TransactionalContext } from '../interfaces/handler.interface.js';
import type { EffectsStore, EffectsTask } from '../interfaces/effects-store.interface.js';

/** In a test, a change comes once; the client, and whatever transaction it is in, are the test's own. */
export class MemoryEffectsStore implements EffectsStore {
  readonly writtenUpTo = 0n;
  client: TransactionalContext['client'] | null = null;

  constructor(private readonly app: string) {}

  async open(): Promise<void> {}

  async run<T>({ handler, places, body }: EffectsTask<T>): Promise<T> {
    if (this.client === null) {
      throw new LifecycleError(`The transactional handler ${handler} has no client in this test`, {
        app: this.app,
        hint: 'give the listener one with useClient(client): of a database, or what the test puts in its place.',
      });
    }
    return body(this.client, [...places.keys()]);
  }

  async fold(): Promise<void> {}

  forget(): void {}

  async close(): Promise<void> {}
}
