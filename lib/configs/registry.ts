import { DuplicateAppError, UnknownAppError } from '../errors/app.error.js';

/** What belongs to an app, by the app's name. One for each Nest application: nothing here is static. */
export class AppRegistry<Entry> {
  private readonly entries = new Map<string, Entry>();

  /** @throws DuplicateAppError */
  register(name: string, entry: Entry): void {
    if (this.entries.has(name)) throw new DuplicateAppError(name);
    this.entries.set(name, entry);
  }

  /** Puts another one in its place. */
  replace(name: string, entry: Entry): void {
    this.entries.set(name, entry);
  }

  has(name: string): boolean {
    return this.entries.has(name);
  }

  /** @throws UnknownAppError */
  get(name: string = 'default'): Entry {
    const entry = this.entries.get(name);
    if (entry === undefined) throw new UnknownAppError(name, this.names(), 'A lookup in the registry');
    return entry;
  }

  /** In the order of registration. */
  names(): string[] {
    return [...this.entries.keys()];
  }
}
