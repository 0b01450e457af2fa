import { startPostgres, type PostgresServer } from 'nestjs-pg-listener/testing';

/** Compiled only: the subpath must bring its types along, and they must not be `any`. */
export async function addressOfServer(): Promise<string> {
  const server: PostgresServer = await startPostgres({ settings: { wal_sender_timeout: '2s' } });
  // @ts-expect-error a port is a number
  await startPostgres({ port: 'five' });
  return server.url;
}
