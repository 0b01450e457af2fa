import { NestFactory } from '@nestjs/core';
import { getChangesToken, getPgListenerToken, type InsertChange, type PgListener } from 'nestjs-pg-listener';
import type { Observable } from 'rxjs';
import { FeedModule, LiveFeed } from './feed.module.js';

async function bootstrap() {
  const app = await NestFactory.createApplicationContext(FeedModule);
  app.enableShutdownHooks();
  if (!(app.get(LiveFeed) instanceof LiveFeed)) throw new Error('LiveFeed was not injected');
  for (const name of ['default', 'billing']) {
    console.log(name, 'is', app.get<PgListener>(getPgListenerToken(name)).status.state);
  }
  // The same observable that LiveFeed has been given.
  const orders$ = app.get<Observable<InsertChange<{ id: number }>>>(getChangesToken('orders'), { strict: false });
  orders$.subscribe((change) => console.log('feed:', change.operation, change.table, change.record.id));
  console.log('READY');
}
void bootstrap();
