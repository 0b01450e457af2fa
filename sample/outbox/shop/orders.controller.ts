import {
  BadRequestException,
  ConflictException,
  Controller,
  HttpCode,
  NotFoundException,
  Param,
  ParseIntPipe,
  Post,
} from '@nestjs/common';
import { OrdersService } from './orders.service.js';

/** Constraints of the tables, and what they mean to whoever orders. */
const REFUSALS: Record<string, (item: string) => Error> = {
  enough_in_stock: (item) => new ConflictException(`There is not enough of ${item} in stock.`),
  orders_item_fkey: (item) => new NotFoundException(`There is no ${item}.`),
  orders_quantity_check: () => new BadRequestException('One piece at least is wanted.'),
};

@Controller()
export class OrdersController {
  constructor(private readonly orders: OrdersService) {}

  @Post('orders/:item/:quantity')
  async place(@Param('item') item: string, @Param('quantity', ParseIntPipe) quantity: number): Promise<{ id: number }> {
    try {
      return { id: await this.orders.place(item, quantity) };
    } catch (error) {
      throw REFUSALS[(error as { constraint?: string }).constraint ?? '']?.(item) ?? error;
    }
  }

  @Post('shipments/:order')
  @HttpCode(204)
  async ship(@Param('order', ParseIntPipe) order: number): Promise<void> {
    if (!(await this.orders.ship(order))) throw new NotFoundException(`Order ${order} is not waiting to be shipped.`);
  }
}
