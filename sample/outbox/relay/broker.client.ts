import type { OutboxEvent } from '../event.js';

/** A broker that does not answer is as good as one that is down. */
const TIMEOUT_MS = 5_000;

/** The broker has understood, and will not take it: another try would hear the same. */
export class RefusedByBroker extends Error {}

/** Sends to the broker over HTTP. Where yours is Kafka, NATS or SQS, its client stands here. */
export class BrokerClient {
  constructor(private readonly url: string) {}

  /**
   * Resolves when the broker has it.
   *
   * @throws RefusedByBroker; any other error where it may be tried again
   */
  async send(event: OutboxEvent, signal: AbortSignal): Promise<void> {
    const response = await fetch(`${this.url}/events`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': event.id },
      body: JSON.stringify(event),
      signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
    });
    const answer = await response.text();
    if (response.status === 422) throw new RefusedByBroker(answer);
    if (!response.ok) throw new Error(`the broker answers with status ${response.status}`);
  }
}
