import 'reflect-metadata';
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { integer, pgTable, text } from 'drizzle-orm/pg-core';
import { OnTableChange, PgListenerModule, type InsertChange } from 'nestjs-pg-listener';
import { drizzle, type DrizzleContext } from 'nestjs-pg-listener/drizzle';
import { typeorm, type TypeormContext } from 'nestjs-pg-listener/typeorm';
import { DataSource, Entity, PrimaryColumn } from 'typeorm';

@Entity('orm_orders')
class Order {
  @PrimaryColumn('int', { name: 'order_id' })
  id!: number;
}
@Entity('orm_booked')
class Booked {
  @PrimaryColumn('text')
  note!: string;
}
const orders = pgTable('orm_orders', { id: integer('order_id').primaryKey() });
const booked = pgTable('orm_booked', { note: text().primaryKey() });

@Injectable()
class Handlers {
  @OnTableChange(Order, 'insert', { mapped: true, transactional: typeorm() })
  async entity({ record }: InsertChange<Order>, { manager }: TypeormContext): Promise<void> {
    await manager.insert(Booked, { note: `typeorm ${record.id}` });
    console.log(`typeorm ${record.id}`);
  }

  @OnTableChange(orders, 'insert', { mapped: true, transactional: drizzle() })
  async table({ record }: InsertChange<typeof orders.$inferSelect>, { db }: DrizzleContext): Promise<void> {
    await db.insert(booked).values({ note: `drizzle ${record.id}` });
    console.log(`drizzle ${record.id}`);
  }
}

const url = process.env['DATABASE_URL']!;

@Module({
  imports: [PgListenerModule.forRoot({ connection: url, slot: 'orm' })],
  providers: [
    Handlers,
    {
      provide: DataSource,
      useFactory: () => new DataSource({ type: 'postgres', url, entities: [Order, Booked] }).initialize(),
    },
  ],
})
class AppModule {}

async function main(): Promise<void> {
  const app = await NestFactory.createApplicationContext(AppModule, { logger: ['warn', 'error'] });
  app.enableShutdownHooks();
  console.log('READY');
}
void main();
