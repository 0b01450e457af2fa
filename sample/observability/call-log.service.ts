import { AsyncLocalStorage } from 'node:async_hooks';
import { Injectable, Logger } from '@nestjs/common';

/** What a line of the log says of the call that it was written in. */
export interface Call {
  readonly handler: string;
  readonly attempt: number;
  /** `change.id`: the same again where a change comes again. */
  readonly change: string;
}

/** A log whose lines name the change that is being handled, however deep they are written. */
@Injectable()
export class CallLog {
  private readonly logger = new Logger(CallLog.name);
  private readonly calls = new AsyncLocalStorage<Call>();

  within<T>(call: Call, work: () => T): T {
    return this.calls.run(call, work);
  }

  log(message: string): void {
    const call = this.calls.getStore();
    this.logger.log(
      call === undefined ? message : `${call.handler} ${call.change} (attempt ${call.attempt}): ${message}`,
    );
  }
}
