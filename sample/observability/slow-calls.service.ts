import { tracingChannel } from 'node:diagnostics_channel';
import { Injectable, Logger, type OnModuleDestroy, type OnModuleInit } from '@nestjs/common';
import { PG_LISTENER_CHANNELS, type CallMessage } from 'nestjs-pg-listener';

const SLOW_MS = 500;

/** Tells of slow calls in the log. The same channel carries spans to whatever traces the application. */
@Injectable()
export class SlowCallsService implements OnModuleInit, OnModuleDestroy {
  private readonly logger = new Logger(SlowCallsService.name);
  private readonly calls = tracingChannel<unknown, CallMessage>(PG_LISTENER_CHANNELS.call);
  private readonly tell = (message: unknown): void => {
    const { handler, attempt, durationMs = 0 } = message as CallMessage;
    // Not the payload: it is a row of the user's.
    if (durationMs >= SLOW_MS) this.logger.warn(`${handler} took ${Math.round(durationMs)} ms (attempt ${attempt})`);
  };

  onModuleInit(): void {
    this.calls.asyncEnd.subscribe(this.tell);
  }

  onModuleDestroy(): void {
    this.calls.asyncEnd.unsubscribe(this.tell);
  }
}
