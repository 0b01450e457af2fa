import 'reflect-metadata';
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { integer, pgTable, text } from 'drizzle-orm/pg-core';
import { OnTableChange, PgListener, PgListenerModule, type InsertChange } from 'nestjs-pg-listener';
import { drizzle, type DrizzleContext } from 'nestjs-pg-listener/drizzle';
import { typeorm, type TypeormContext } from 'nestjs-pg-listener/typeorm';
import { Column, DataSource, Entity, PrimaryColumn } from 'typeorm';

/** An application with a transactional handler that writes through an ORM, for tests that kill it. `argv`: URL, slot, ORM. */
const [url, slot, orm] = process.argv.slice(2) as [string, string, 'typeorm' | 'drizzle'];

interface Order {
  readonly id: number;
}

@Entity('booked')
class Booked {
  @PrimaryColumn({ type: 'bigint', insert: false })
  seq!: string;
  @Column('int')
  id!: number;
  @Column('text')
  note!: string;
}
const booked = pgTable('booked', { id: integer(), note: text() });

@Injectable()
class WithTypeorm {
  @OnTableChange('orders', 'insert', { id: 'orders', transactional: typeorm() })
  async handle({ record }: InsertChange<Order>, { manager }: TypeormContext): Promise<void> {
    await manager.insert(Booked, { id: record.id, note: 'x' });
  }
}

@Injectable()
class WithDrizzle {
  @OnTableChange('orders', 'insert', { id: 'orders', transactional: drizzle() })
  async handle({ record }: InsertChange<Order>, { db }: DrizzleContext): Promise<void> {
    await db.insert(booked).values({ id: record.id, note: 'x' });
  }
}

@Module({
  imports: [PgListenerModule.forRoot({ connection: url, slot, service: 'shop', startup: { wait: false } })],
  providers: [
    orm === 'typeorm' ? WithTypeorm : WithDrizzle,
    {
      provide: DataSource,
      useFactory: () => new DataSource({ type: 'postgres', url, entities: [Booked] }).initialize(),
    },
  ],
})
class AppModule {}

const application = await NestFactory.createApplicationContext(AppModule, { logger: ['error', 'warn'] });
application.get(PgListener).status$.subscribe(({ state }) => process.send?.({ state }));
process.on('disconnect', () => process.exit(0));
