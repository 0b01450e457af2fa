import { Module } from '@nestjs/common';
import { PgListenerModule } from 'nestjs-pg-listener';
import { ChangesController } from './changes.controller.js';
import { HealthController } from './health.controller.js';

@Module({
  imports: [PgListenerModule.forFeature(['orders']), PgListenerModule.forFeature(['invoices'], 'billing')],
  controllers: [ChangesController, HealthController],
})
export class MonitorModule {}
