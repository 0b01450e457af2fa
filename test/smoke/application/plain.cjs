/** Plain CommonJS, without TypeScript: the decorators are called as the functions that they are. */
require('reflect-metadata');
const { Module } = require('@nestjs/common');
const { NestFactory } = require('@nestjs/core');
const { OnTableChange, PgListenerModule } = require('nestjs-pg-listener');

class OrdersHandler {
  onCreated(change) {
    console.log('plain order', change.record.id);
  }
}
const method = Object.getOwnPropertyDescriptor(OrdersHandler.prototype, 'onCreated');
OnTableChange('orders', 'insert')(OrdersHandler.prototype, 'onCreated', method);

class AppModule {}
Module({
  imports: [PgListenerModule.forRoot({ connection: process.env.DATABASE_URL, slot: 'plain' })],
  providers: [OrdersHandler],
})(AppModule);

async function bootstrap() {
  const app = await NestFactory.createApplicationContext(AppModule);
  process.once('SIGTERM', () => void app.close());
  console.log('READY');
}
void bootstrap();
