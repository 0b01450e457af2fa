import { Module, type DynamicModule } from '@nestjs/common';
import { PgListenerModule } from 'nestjs-pg-listener';
import { Database } from './database.js';
import { RushController } from './shop/rush.controller.js';
import { RushService } from './shop/rush.service.js';
import { TotalsController } from './totals/totals.controller.js';
import { TotalsHandler } from './totals/totals.handler.js';

@Module({})
export class AppModule {
  static register(database: Database): DynamicModule {
    return {
      module: AppModule,
      imports: [PgListenerModule.forRoot({ connection: database.url, slot: 'projection' })],
      controllers: [RushController, TotalsController],
      providers: [{ provide: Database, useValue: database }, RushService, TotalsHandler],
    };
  }
}
