import { PgListenerError } from '../errors/pg-listener.error.js';

/** The testing kit cannot do what a test asks of it, or what the test waits for has not come. @publicApi */
export class TestingError extends PgListenerError {
  readonly code = 'PG_LISTENER_TESTING';
}

/** What a fault switch throws in place of a handler, where the test names no error of its own. @publicApi */
export class InjectedFaultError extends PgListenerError {
  readonly code = 'PG_LISTENER_INJECTED_FAULT';
}
