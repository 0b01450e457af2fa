import { Injectable } from '@nestjs/common';
import { OnLogicalMessage, ParkChange, type LogicalMessage, type PgListenerContext } from 'nestjs-pg-listener';
import { isOutboxEvent, OUTBOX, type OutboxEvent } from '../event.js';
import { BrokerClient, RefusedByBroker } from './broker.client.js';

/** From the log to the broker: each committed event, in the order of the commits, at least once. */
@Injectable()
export class RelayHandler {
  constructor(private readonly broker: BrokerClient) {}

  /**
   * The position in the log moves past an event only when this has returned for it. So whatever ends the process, an event
   * that the broker does not have comes again, and one that it has just got may: it bears the same id.
   */
  @OnLogicalMessage(OUTBOX, { id: 'relay', retry: { attempts: 3, minDelayMs: 100, maxDelayMs: 2_000 } })
  async onEvent(message: LogicalMessage, { signal }: PgListenerContext): Promise<void> {
    try {
      await this.broker.send(readEvent(message), signal);
    } catch (error) {
      // No outage: it would stand in the way for ever, whatever the policy says of outages.
      if (error instanceof RefusedByBroker) throw new ParkChange({ reason: 'the broker refuses it', cause: error });
      throw error;
    }
  }
}

function readEvent({ text }: LogicalMessage): OutboxEvent {
  try {
    const event: unknown = JSON.parse(text);
    if (isOutboxEvent(event)) return event;
  } catch {
    // Told below, without the text: what is in it belongs to the shop's customers.
  }
  throw new ParkChange({ reason: 'it is not an event of the shop' });
}
