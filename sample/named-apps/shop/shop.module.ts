import { Module } from '@nestjs/common';
import { InvoicesHandler } from './invoices.handler.js';
import { OrdersController } from './orders.controller.js';
import { OrdersService } from './orders.service.js';
import { ShopDatabase } from './shop.database.js';

@Module({
  controllers: [OrdersController],
  providers: [ShopDatabase, OrdersService, InvoicesHandler],
})
export class ShopModule {}
