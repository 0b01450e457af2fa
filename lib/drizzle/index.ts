export { drizzle, type DrizzleContext, type DrizzleDatabase, type DrizzleOptions } from './drizzle.adapter.js';
export { drizzleParsers } from './drizzle-parsers.js';
