import { Controller, Delete, Get, HttpCode, NotFoundException, Param, ParseIntPipe, Post } from '@nestjs/common';
import type { Order } from './order.js';
import { OrdersService } from './orders.service.js';

/** 204 throughout: what has become of a row, the page learns from the change alone. */
@Controller('orders')
export class OrdersController {
  constructor(private readonly orders: OrdersService) {}

  @Get()
  list(): Promise<Order[]> {
    return this.orders.list();
  }

  @Post()
  @HttpCode(204)
  async create(): Promise<void> {
    await this.orders.create();
  }

  @Post('transaction')
  @HttpCode(204)
  async several(): Promise<void> {
    await this.orders.severalInOneTransaction();
  }

  @Post(':id/advance')
  @HttpCode(204)
  async advance(@Param('id', ParseIntPipe) id: number): Promise<void> {
    assertFound(id, await this.orders.advance(id));
  }

  @Post(':id/add-one')
  @HttpCode(204)
  async addOne(@Param('id', ParseIntPipe) id: number): Promise<void> {
    assertFound(id, await this.orders.addOne(id));
  }

  @Delete(':id')
  @HttpCode(204)
  async remove(@Param('id', ParseIntPipe) id: number): Promise<void> {
    assertFound(id, await this.orders.remove(id));
  }
}

function assertFound(id: number, found: boolean): void {
  if (!found) throw new NotFoundException(`There is no order ${id} any more.`);
}
