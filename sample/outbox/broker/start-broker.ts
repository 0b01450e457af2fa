import type { INestApplication } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { BrokerModule } from './broker.module.js';

const PORT = 3004;

/** An application of its own, with a port of its own: what it knows, it knows from what it was sent. */
export async function startBroker(): Promise<INestApplication> {
  const broker = await NestFactory.create(BrokerModule, {
    abortOnError: false,
    // Until whoever starts it flushes the log.
    bufferLogs: true,
    autoFlushLogs: false,
    forceCloseConnections: true,
  });
  try {
    await broker.listen(process.env.BROKER_PORT || PORT, '127.0.0.1');
  } catch (error) {
    await broker.close();
    throw error;
  }
  return broker;
}
