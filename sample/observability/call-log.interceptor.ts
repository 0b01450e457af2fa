import { Injectable, type CallHandler, type ExecutionContext, type NestInterceptor } from '@nestjs/common';
import type { Change, PgListenerContext } from 'nestjs-pg-listener';
import { Observable } from 'rxjs';
import { CallLog } from './call-log.service.js';

/** Tells the log which change is being handled. It stands on a handler, so that it never sees a request. */
@Injectable()
export class CallLogInterceptor implements NestInterceptor {
  constructor(private readonly log: CallLog) {}

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const [change, { handler, attempt }] = context.getArgs<[Change, PgListenerContext]>();
    // The method is called when somebody subscribes.
    return new Observable((subscriber) =>
      this.log.within({ handler, attempt, change: change.id }, () => next.handle().subscribe(subscriber)),
    );
  }
}
