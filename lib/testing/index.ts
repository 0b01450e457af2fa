export { TestPgListener } from './test-pg-listener.js';
export { alter, insert, message, remove, truncate, update, type DescribedTable, type Emission } from './emissions.js';
export { startPostgres, type PostgresServer, type StartPostgresOptions } from './start-postgres.js';
