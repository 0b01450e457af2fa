import { Module } from '@nestjs/common';
import { ConfigModule, ConfigService } from '@nestjs/config';
import { PgListenerModule } from 'nestjs-pg-listener';
import { BillingModule } from './billing/billing.module.js';
import { MonitorModule } from './monitor/monitor.module.js';
import { ShopModule } from './shop/shop.module.js';

/** Two apps: each has a connection, a slot and handlers of its own, and neither waits for the other. */
@Module({
  imports: [
    ConfigModule.forRoot({ isGlobal: true }),
    PgListenerModule.forRootAsync({
      inject: [ConfigService],
      useFactory: (config: ConfigService) => ({
        connection: config.getOrThrow<string>('SHOP_URL'),
        slot: 'named_apps_shop',
      }),
    }),
    PgListenerModule.forRootAsync({
      // Outside of the factory: providers are named before any factory runs.
      name: 'billing',
      inject: [ConfigService],
      useFactory: (config: ConfigService) => ({
        connection: config.getOrThrow<string>('BILLING_URL'),
        slot: 'named_apps_billing',
      }),
    }),
    ShopModule,
    BillingModule,
    MonitorModule,
  ],
})
export class AppModule {}
