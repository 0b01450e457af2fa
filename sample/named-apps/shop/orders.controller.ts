import { Controller, Get, HttpCode, NotFoundException, Param, ParseIntPipe, Post } from '@nestjs/common';
import type { Order } from './order.js';
import { OrdersService } from './orders.service.js';

@Controller('orders')
export class OrdersController {
  constructor(private readonly orders: OrdersService) {}

  @Get()
  list(): Promise<Order[]> {
    return this.orders.list();
  }

  @Post(':id/pay')
  @HttpCode(204)
  async pay(@Param('id', ParseIntPipe) id: number): Promise<void> {
    if (!(await this.orders.pay(id))) throw new NotFoundException(`There is no order ${id}.`);
  }
}
