import { Controller, Sse, type MessageEvent } from '@nestjs/common';
import { InjectChanges, PgListener, type Change, type PgListenerStatus } from 'nestjs-pg-listener';
import { map, merge, type Observable } from 'rxjs';
import type { Order } from './order.js';

/** How soon a page comes back that has lost us. */
const RETRY_MS = 1_500;

/**
 * Hands the changes on to every open page. An observable is for looking on: it holds nothing up, and a page that was
 * away has missed what went by. So pages read the rows again when they come back.
 */
@Controller()
export class ChangesController {
  constructor(
    @InjectChanges('orders') private readonly orders$: Observable<Change<Order>>,
    private readonly listener: PgListener,
  ) {}

  /** Both sources complete when the application closes, and the stream with them. */
  @Sse('changes')
  changes(): Observable<MessageEvent> {
    return merge(
      this.listener.status$.pipe(map((status) => ({ type: 'status', retry: RETRY_MS, data: plain(status) }))),
      this.orders$.pipe(map((change) => ({ type: 'change', id: change.id, data: change.toJSON() }))),
    );
  }
}

/** An error does not survive JSON. */
function plain({ state, since, error, heldBy, retryInMs }: PgListenerStatus): object {
  return { state, since, heldBy, retryInMs, reason: error?.message };
}
