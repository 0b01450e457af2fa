import { Module, type DynamicModule } from '@nestjs/common';
import { Database } from './database.js';

@Module({})
export class DatabaseModule {
  /** Opened and closed by main.ts: it must be there before the application and outlive it. */
  static register(database: Database): DynamicModule {
    return {
      module: DatabaseModule,
      global: true,
      providers: [{ provide: Database, useValue: database }],
      exports: [Database],
    };
  }
}
