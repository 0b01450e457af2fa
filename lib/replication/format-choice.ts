import type { StreamFormat } from '../decoder/relation-cache.js';
import type { ListenerLogger } from '../interfaces/listener-logger.interface.js';

/**
 * The format in which an app asks for values, across its connections. The server takes one for a whole connection: where
 * the binary one cannot give what text gives, all of the app goes on in text, until the process ends.
 */
export class FormatChoice {
  private format: StreamFormat;

  constructor(
    isBinary: boolean,
    private readonly logger: ListenerLogger,
  ) {
    this.format = isBinary ? 'binary' : 'text';
  }

  get current(): StreamFormat {
    return this.format;
  }

  /** @param reason names the column and its type, where it is one */
  fallBack(reason: string): void {
    if (this.format === 'text') return;
    this.format = 'text';
    this.logger.warn(`Values come as text from here on, not in the binary format: ${reason}`);
  }
}
