import { describe, expect, it } from '@jest/globals';
import { DuplicateAppError, LifecycleError, UnknownAppError } from '#lib/errors/app.error.js';
import { PgListenerConfigError } from '#lib/errors/config.error.js';
import { DecodeError } from '#lib/errors/decode.error.js';
import { HandlerHaltError, ParkedFilterError, ParkingError, SpillError } from '#lib/errors/delivery.error.js';
import {
  GuardRefusalError,
  HandlerDefinitionError,
  RowSchemaError,
  TablePatternError,
  TableSourceError,
} from '#lib/errors/handler.error.js';
import { MissingPeerError } from '#lib/errors/peer.error.js';
import { HaltApp, ParkChange, RetryChange, SkipChange } from '#lib/errors/verdict.error.js';
import { PgListenerError } from '#lib/errors/pg-listener.error.js';
import * as replication from '#lib/errors/replication.error.js';

const CODES = new Map<PgListenerError, string>([
  [new UnknownAppError('x', [], 'A handler'), 'PG_LISTENER_UNKNOWN_APP'],
  [new DuplicateAppError('x'), 'PG_LISTENER_DUPLICATE_APP'],
  [new LifecycleError('x'), 'PG_LISTENER_LIFECYCLE'],
  [new PgListenerConfigError('x', []), 'PG_LISTENER_CONFIG'],
  [new DecodeError('x', { messageType: 'Insert', offset: 1 }), 'PG_LISTENER_DECODE'],
  [new HandlerDefinitionError(['x']), 'PG_LISTENER_HANDLERS'],
  [new TablePatternError('x', 'is bad'), 'PG_LISTENER_TABLE_PATTERN'],
  [new TableSourceError('the class X', 'is no entity'), 'PG_LISTENER_TABLE_SOURCE'],
  [new GuardRefusalError('Guard', new Error('x')), 'PG_LISTENER_GUARD_REFUSAL'],
  [new RowSchemaError('x', [], [], 'x'), 'PG_LISTENER_ROW_SCHEMA'],
  [new MissingPeerError('x', 'A module', new Error('x')), 'PG_LISTENER_MISSING_PEER'],
  [new HandlerHaltError('x'), 'PG_LISTENER_HANDLER_HALT'],
  [new ParkingError('x'), 'PG_LISTENER_PARKING'],
  [new SpillError('x'), 'PG_LISTENER_SPILL'],
  [new ParkedFilterError('x'), 'PG_LISTENER_PARKED_FILTER'],
  [new RetryChange(), 'PG_LISTENER_RETRY_CHANGE'],
  [new ParkChange(), 'PG_LISTENER_PARK_CHANGE'],
  [new SkipChange(), 'PG_LISTENER_SKIP_CHANGE'],
  [new HaltApp(), 'PG_LISTENER_HALT_APP'],
  [new replication.ConnectionError('x'), 'PG_LISTENER_CONNECTION'],
  [new replication.AuthenticationError('x'), 'PG_LISTENER_AUTHENTICATION'],
  [new replication.ServerSetupError('x'), 'PG_LISTENER_SERVER_SETUP'],
  [new replication.PublicationError('x'), 'PG_LISTENER_PUBLICATION'],
  [new replication.SlotError('x'), 'PG_LISTENER_SLOT'],
  [new replication.SlotInUseError('x'), 'PG_LISTENER_SLOT_IN_USE'],
  [new replication.ServerBusyError('x'), 'PG_LISTENER_SERVER_BUSY'],
  [new replication.GapError('x'), 'PG_LISTENER_GAP'],
  [new replication.StartupTimeoutError('x'), 'PG_LISTENER_STARTUP_TIMEOUT'],
]);
/** What time may mend: these are tried again. Of a guard and a schema, the handler's policy decides. */
const PASSING = [
  'PG_LISTENER_GUARD_REFUSAL',
  'PG_LISTENER_ROW_SCHEMA',
  'PG_LISTENER_PARKING',
  'PG_LISTENER_CONNECTION',
  'PG_LISTENER_SLOT_IN_USE',
  'PG_LISTENER_SERVER_BUSY',
];

describe('errors', () => {
  it.each([...CODES].map(([error, code]) => [error.name, code, error] as const))(
    '%s has the stable code %s and the common base',
    (name, code, error) => {
      expect(error).toBeInstanceOf(PgListenerError);
      expect(error.code).toBe(code);
      expect(error.name).toBe(error.constructor.name);
      expect(String(error).startsWith(`${name}: `)).toBe(true);
    },
  );

  it('have a code each', () => {
    expect(new Set(CODES.values()).size).toBe(CODES.size);
  });

  it('are tried again only where time may mend them', () => {
    const passing = [...CODES].filter(([error]) => !error.fatal).map(([, code]) => code);
    expect(passing).toEqual(PASSING);
  });

  it('say where it happened, how to mend it and what is underneath', () => {
    const cause = new Error('underneath');
    const error = new replication.SlotError('It is gone', { app: 'billing', hint: 'SELECT 1;', cause });
    expect(error.message).toBe('It is gone [app "billing"]\n  How to mend it: SELECT 1;');
    expect(error).toMatchObject({ app: 'billing', hint: 'SELECT 1;', cause });
    expect(new replication.SlotError('It is gone').message).toBe('It is gone');
    expect('cause' in new replication.SlotError('It is gone')).toBe(false);
  });

  it('do not name the default app in their text: with one app, there is no question which', () => {
    const error = new replication.SlotError('It is gone', { app: 'default' });
    expect(error).toMatchObject({ message: 'It is gone', app: 'default' });
  });

  it('list all mistakes that were found', () => {
    const handlers = new HandlerDefinitionError(['one', 'two']);
    expect(handlers.message).toContain('\n  - one\n  - two');
    expect(handlers.mistakes).toEqual(['one', 'two']);
  });
});
