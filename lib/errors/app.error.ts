import { PgListenerError } from './pg-listener.error.js';

/** An app name that no `forRoot` registered. @publicApi */
export class UnknownAppError extends PgListenerError {
  readonly code = 'PG_LISTENER_UNKNOWN_APP';

  constructor(app: string, known: readonly string[], askedBy: string) {
    const list =
      known.length === 0 ? 'none is registered' : `registered: ${known.map((name) => `"${name}"`).join(', ')}`;
    super(`${askedBy} names the app "${app}", but ${list}`, {
      hint: `import PgListenerModule.forRoot({ name: '${app}', ... }) or correct the name.`,
    });
  }
}

/** A second `forRoot` of one app name. @publicApi */
export class DuplicateAppError extends PgListenerError {
  readonly code = 'PG_LISTENER_DUPLICATE_APP';

  constructor(app: string) {
    super(`PgListenerModule.forRoot is imported twice for the app "${app}"`, {
      hint: 'give each forRoot a `name` of its own, or import one of them only.',
    });
  }
}

/** The application used a listener at a moment of its life when it cannot serve. @publicApi */
export class LifecycleError extends PgListenerError {
  readonly code = 'PG_LISTENER_LIFECYCLE';
}
