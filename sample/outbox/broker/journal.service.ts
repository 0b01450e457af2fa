import { Injectable } from '@nestjs/common';
import type { OutboxEvent } from '../event.js';

/** One arrival of an event. */
export interface Delivery {
  readonly event: OutboxEvent;
  /** It was here before: a consumer passes it over. */
  readonly isDuplicate: boolean;
}

/** fine: takes everything. down: answers nothing but 503. picky: refuses large orders, and says so. */
export type Mood = 'fine' | 'down' | 'picky';

/** All that has arrived, in the order of arrival, for as long as the broker runs. */
@Injectable()
export class JournalService {
  mood: Mood = 'fine';
  readonly deliveries: Delivery[] = [];
  private readonly ids = new Set<string>();

  take(event: OutboxEvent): Delivery {
    const delivery = { event, isDuplicate: this.ids.has(event.id) };
    this.ids.add(event.id);
    this.deliveries.push(delivery);
    return delivery;
  }
}
