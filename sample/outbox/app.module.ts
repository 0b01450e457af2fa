import { Module, type DynamicModule } from '@nestjs/common';
import { PgListenerModule, type OnExhausted } from 'nestjs-pg-listener';
import { Database } from './database.js';
import { BrokerClient } from './relay/broker.client.js';
import { RelayController } from './relay/relay.controller.js';
import { RelayHandler } from './relay/relay.handler.js';
import { OrdersController } from './shop/orders.controller.js';
import { OrdersService } from './shop/orders.service.js';
import { OutboxService } from './shop/outbox.service.js';

@Module({})
export class AppModule {
  static register(database: Database, brokerUrl: string): DynamicModule {
    return {
      module: AppModule,
      imports: [
        PgListenerModule.forRoot({
          connection: database.url,
          slot: 'outbox',
          // What becomes of an event that the broker has not taken in three attempts. Another word fails the boot.
          handlers: { relay: { onExhausted: (process.env.ON_EXHAUSTED || 'block') as OnExhausted } },
        }),
      ],
      controllers: [OrdersController, RelayController],
      providers: [
        { provide: Database, useValue: database },
        { provide: BrokerClient, useValue: new BrokerClient(brokerUrl) },
        OrdersService,
        OutboxService,
        RelayHandler,
      ],
    };
  }
}
