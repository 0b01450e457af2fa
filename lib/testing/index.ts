export { TestPgListener } from './test-pg-listener.js';
export { insert, message, remove, truncate, update, type Emission } from './emissions.js';
export { startPostgres, type PostgresServer, type StartPostgresOptions } from './start-postgres.js';
