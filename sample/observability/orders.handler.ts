import { Injectable, UseFilters, UseGuards, UseInterceptors } from '@nestjs/common';
import { OnTableChange, type InsertChange } from 'nestjs-pg-listener';
import { CallLogInterceptor } from './call-log.interceptor.js';
import { CallLog } from './call-log.service.js';
import { orders, type Order } from './order.js';
import { OutOfStockFilter } from './out-of-stock.filter.js';
import { TestOrdersGuard } from './test-orders.guard.js';
import { WarehouseService } from './warehouse.service.js';

@Injectable()
@UseGuards(TestOrdersGuard)
@UseInterceptors(CallLogInterceptor)
@UseFilters(OutOfStockFilter)
export class OrdersHandler {
  constructor(
    private readonly warehouse: WarehouseService,
    private readonly log: CallLog,
  ) {}

  /** Its id is a label of its metrics. */
  @OnTableChange(orders, 'insert', {
    id: 'reserve',
    onExhausted: 'park',
    retry: { attempts: 2, minDelayMs: 100 },
  })
  async onOrder({ record }: InsertChange<Order>): Promise<void> {
    await this.warehouse.reserve(record);
    this.log.log(`reserved order ${record.id}`);
  }
}
