import { Controller, Sse, type MessageEvent } from '@nestjs/common';
import { InjectChanges, type Change } from 'nestjs-pg-listener';
import { map, merge, type Observable } from 'rxjs';
import type { Invoice } from '../billing/invoice.js';
import type { Order } from '../shop/order.js';

/** Both databases in one stream of events, for looking on: it holds nothing up and repeats nothing. */
@Controller('changes')
export class ChangesController {
  constructor(
    @InjectChanges('orders') private readonly orders$: Observable<Change<Order>>,
    @InjectChanges('invoices', { app: 'billing' }) private readonly invoices$: Observable<Change<Invoice>>,
  ) {}

  @Sse()
  changes(): Observable<MessageEvent> {
    return merge(this.orders$, this.invoices$).pipe(map((change) => ({ data: change.toJSON() })));
  }
}
