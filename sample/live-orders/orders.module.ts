import { Module } from '@nestjs/common';
import { PgListenerModule } from 'nestjs-pg-listener';
import { ChangesController } from './changes.controller.js';
import { OrdersController } from './orders.controller.js';
import { OrdersHandler } from './orders.handler.js';
import { OrdersService } from './orders.service.js';

@Module({
  imports: [PgListenerModule.forFeature(['orders'])],
  controllers: [OrdersController, ChangesController],
  providers: [OrdersHandler, OrdersService],
})
export class OrdersModule {}
