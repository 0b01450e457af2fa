/** The prefix of its messages: what `@OnLogicalMessage` goes by. */
export const OUTBOX = 'outbox';

/** What has happened in the shop, as it goes to the broker. */
export interface OutboxEvent {
  /** Given where the event is made: the same however often it is sent. Two events of one transaction share their LSN. */
  readonly id: string;
  readonly type: 'order.placed' | 'order.shipped';
  readonly order: number;
  readonly item: string;
  readonly quantity: number;
}

/** Anybody with SQL can write a message, and anybody who reaches the broker can send it something. */
export function isOutboxEvent(value: unknown): value is OutboxEvent {
  const { id, type, quantity } = (value ?? {}) as Partial<Record<keyof OutboxEvent, unknown>>;
  return typeof id === 'string' && typeof type === 'string' && typeof quantity === 'number';
}
