import { Module, type DynamicModule } from '@nestjs/common';
import { PgListenerModule } from 'nestjs-pg-listener';
import type { Database } from './database.js';
import { DatabaseModule } from './database.module.js';
import { OrdersModule } from './orders.module.js';
import { StatusController } from './status.controller.js';

@Module({})
export class AppModule {
  /** The slot holds the position: what is committed while the application is down, arrives when it is back. */
  static register(database: Database): DynamicModule {
    return {
      module: AppModule,
      imports: [
        DatabaseModule.register(database),
        PgListenerModule.forRoot({ connection: database.url, slot: 'live_orders' }),
        OrdersModule,
      ],
      controllers: [StatusController],
    };
  }
}
