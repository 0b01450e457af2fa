/** node-postgres' options for a target. The certificate of the run is its own authority and not what is measured. */
export function pgOptions({ transport, host, port, user, database }) {
  return { host, port, user, database, ...(transport === 'tls' && { ssl: { rejectUnauthorized: false } }) };
}
