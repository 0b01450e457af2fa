/** The part of Nest's LoggerService that replication and events use. Row values never go here. */
export interface ListenerLogger {
  log(message: string): void;
  warn(message: string): void;
  error(message: string, stack?: string): void;
  debug?(message: string): void;
}
