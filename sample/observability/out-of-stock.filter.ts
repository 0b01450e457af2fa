import { Catch, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import type { InsertChange } from 'nestjs-pg-listener';
import { Counter } from 'prom-client';
import { CallLog } from './call-log.service.js';
import type { Order } from './order.js';
import { OutOfStockError } from './warehouse.service.js';

/** Beside ours, a metric of one's own. */
const outOfStock = new Counter({ name: 'shop_out_of_stock_total', help: 'Orders of what the warehouse has not got.' });

/** What no other try would mend is handled here. It returns: the change is done. Anything else goes to the handler's policy. */
@Catch(OutOfStockError)
export class OutOfStockFilter implements ExceptionFilter<OutOfStockError> {
  constructor(private readonly log: CallLog) {}

  catch(_: OutOfStockError, host: ArgumentsHost): void {
    const [{ record }] = host.getArgs<[InsertChange<Order>]>();
    outOfStock.inc();
    this.log.log(`order ${record.id} waits until the warehouse has it`);
  }
}
