const asText = (text: string): string => text;

/**
 * For the option `types`: dates, times and intervals as text, as Drizzle asks for them. Mapped rows are then to the
 * microsecond what `db.select()` gives; handlers of the app that are not mapped get the text, too.
 *
 * @example
 * PgListenerModule.forRoot({ connection, slot: 'shop', types: { parsers: drizzleParsers } })
 */
export const drizzleParsers: Readonly<Record<string, (text: string) => string>> = Object.freeze({
  date: asText,
  timestamp: asText,
  timestamptz: asText,
  interval: asText,
  'date[]': asText,
  'timestamp[]': asText,
  'timestamptz[]': asText,
  'interval[]': asText,
  'numeric[]': asText,
});
