import { Injectable } from '@nestjs/common';
import { OnTableChange, type InsertChange } from 'nestjs-pg-listener';
import { orders, type Order } from './order.js';
import { WarehouseService } from './warehouse.service.js';

@Injectable()
export class OrdersHandler {
  constructor(private readonly warehouse: WarehouseService) {}

  /** Its id is a label of its metrics. */
  @OnTableChange(orders, 'insert', {
    id: 'reserve',
    onExhausted: 'park',
    retry: { attempts: 2, minDelayMs: 100 },
  })
  async onOrder({ record }: InsertChange<Order>): Promise<void> {
    await this.warehouse.reserve(record.id);
  }
}
