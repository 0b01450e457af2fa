import { Module } from '@nestjs/common';
import { BillingController } from './billing.controller.js';
import { BillingDatabase } from './billing.database.js';
import { InvoicesService } from './invoices.service.js';
import { PaidOrdersHandler } from './paid-orders.handler.js';

@Module({
  controllers: [BillingController],
  providers: [BillingDatabase, InvoicesService, PaidOrdersHandler],
})
export class BillingModule {}
