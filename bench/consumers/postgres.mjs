import postgres from 'postgres';

/**
 * `subscribe` makes a temporary slot at the end of the log, and so never has a backlog. Its own module is given a
 * `postgres` that answers with the prepared slot instead; what it reads, decodes and calls is untouched.
 */
export async function consume({ target, slot, publication }, tally) {
  const { transport, host, port, user, database } = target;
  const { default: Subscribe } = await import(new URL('subscribe.js', import.meta.resolve('postgres')));
  const options = {
    host,
    port,
    user,
    database,
    ssl: transport === 'tls' ? { rejectUnauthorized: false } : false,
  };
  const sql = postgres({ ...options, publications: publication, fetch_types: false });
  const subscribe = Subscribe((given) => withSlot(postgres(given), slot), sql.options);
  await subscribe('*:public.orders', (row) => tally.row(row));
  // Its end waits for a stream that never ends by itself: the connection ends with the process.
  return { stop: () => undefined };
}

function withSlot(sql, slot) {
  return new Proxy(sql, {
    get: (of, name) => {
      if (name !== 'unsafe') return Reflect.get(of, name);
      return (text) => {
        if (text.startsWith('CREATE_REPLICATION_SLOT')) return prepared(of);
        return of.unsafe(text.replace(/SLOT \S+ LOGICAL/, `SLOT ${slot} LOGICAL`));
      };
    },
  });
}

async function prepared(sql) {
  const rows = await sql.unsafe('IDENTIFY_SYSTEM');
  rows[0].consistent_point = '0/0';
  return rows;
}
