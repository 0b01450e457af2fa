import { NestFactory } from '@nestjs/core';
import { AppModule } from './app.module.js';

async function bootstrap() {
  const app = await NestFactory.createApplicationContext(AppModule);
  // No process.exit(): the process ends by itself when nothing of the listener is open any more.
  process.once('SIGTERM', () => void app.close());
  console.log('READY');
}
void bootstrap();
