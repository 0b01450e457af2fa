import { Logger } from '@nestjs/common';
import pg from 'pg';

/** @param owner whose log lines tell of connections that are lost */
export function openPool(url: string, owner: string): pg.Pool {
  const pool = new pg.Pool({ connectionString: url, connectionTimeoutMillis: 5_000 });
  const logger = new Logger(owner);
  // A server that restarts ends idle connections; unheard, that error would end the process.
  pool.on('error', ({ message }) => pool.ending || logger.warn(`Lost a connection: ${message}`));
  return pool;
}
