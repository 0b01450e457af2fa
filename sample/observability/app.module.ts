import { Module, type DynamicModule } from '@nestjs/common';
import { TerminusModule } from '@nestjs/terminus';
import { PgListenerModule } from 'nestjs-pg-listener';
import { PgListenerPrometheusModule } from 'nestjs-pg-listener/prometheus';
import { PgListenerTerminusModule } from 'nestjs-pg-listener/terminus';
import { CallLog } from './call-log.service.js';
import { Database } from './database.js';
import { HealthController } from './health.controller.js';
import { MetricsController } from './metrics.controller.js';
import { OrdersController } from './orders.controller.js';
import { OrdersHandler } from './orders.handler.js';
import { SlowCallsService } from './slow-calls.service.js';
import { WarehouseService } from './warehouse.service.js';

@Module({})
export class AppModule {
  static register(database: Database): DynamicModule {
    return {
      module: AppModule,
      imports: [
        PgListenerModule.forRoot({ connection: database.url, slot: 'observability' }),
        PgListenerPrometheusModule.forRoot(),
        PgListenerTerminusModule,
        TerminusModule,
      ],
      controllers: [HealthController, MetricsController, OrdersController],
      providers: [
        { provide: Database, useValue: database },
        CallLog,
        OrdersHandler,
        SlowCallsService,
        WarehouseService,
      ],
    };
  }
}
