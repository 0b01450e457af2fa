import { channel, tracingChannel } from 'node:diagnostics_channel';
import type { HandlerMetadata } from '../interfaces/handler-definition.interface.js';
import type { PgListenerGap } from '../interfaces/gap.interface.js';
import type { PgListenerStatus } from '../interfaces/status.interface.js';

/**
 * Names of the channels of `node:diagnostics_channel` that this package publishes to. `call` is the name of a
 * `tracingChannel`.
 *
 * @publicApi
 */
export const PG_LISTENER_CHANNELS = {
  status: 'nestjs-pg-listener:status',
  gap: 'nestjs-pg-listener:gap',
  failure: 'nestjs-pg-listener:failure',
  call: 'nestjs-pg-listener:call',
} as const;

/** On `nestjs-pg-listener:status`: an app has entered a state. */
export type StatusMessage = PgListenerStatus;

/** On `nestjs-pg-listener:gap`: changes may be missing. */
export type GapMessage = PgListenerGap;

/** On `nestjs-pg-listener:failure`: a call of a handler has failed, and this is done about it. */
export interface FailureMessage {
  readonly app: string;
  readonly handler: string;
  /** What was handled and where, without a value. */
  readonly what: string;
  /** From 1. */
  readonly attempt: number;
  /** As the handler threw it. */
  readonly error: unknown;
  readonly action: 'retry' | 'park' | 'skip' | 'halt';
  /** Until the next attempt, where `action` is `retry`. */
  readonly delayMs: number | null;
  /** Attempts are used up, and the position holds until it succeeds. */
  readonly isBlocking: boolean;
}

/** On the five channels of `tracing:nestjs-pg-listener:call`: one object for each call of a handler. */
export interface CallMessage {
  readonly app: string;
  readonly handler: string;
  readonly kind: HandlerMetadata['kind'];
  /** From 1. */
  readonly attempt: number;
  /** What the handler gets, the very object: its rows are the user's data. */
  readonly payload: unknown;
  /** How long it took; from `asyncEnd` on, or `end` where the handler is synchronous. */
  durationMs?: number;
  /** What it threw; from `error` on. */
  error?: unknown;
}

/** Kept here: nobody else holds on to a channel before it is subscribed to. */
export const statusChannel = channel(PG_LISTENER_CHANNELS.status);
export const gapChannel = channel(PG_LISTENER_CHANNELS.gap);
export const failureChannel = channel(PG_LISTENER_CHANNELS.failure);
export const callChannel = tracingChannel<unknown, CallMessage>(PG_LISTENER_CHANNELS.call);
