import { setTimeout as sleep } from 'node:timers/promises';
import { escapeLiteral, type Client } from 'pg';
import { bySuperuser, fault, ok, type Finding } from './finding.js';

/** A new slot waits for all transactions that write; longer than this, a listener does not wait (and tries again). */
const LONG_S = 5;
const SECOND_LOOK_MS = 1_000;

/** A transaction that has written something, in whatever database of the server. */
export interface OpenTransaction {
  readonly pid: number;
  readonly xid: string;
  /** Null: the role may not see. */
  readonly seconds: number | null;
  readonly role: string | null;
  readonly application: string | null;
  readonly database: string | null;
}

export interface PreparedTransaction {
  readonly gid: string;
  readonly database: string;
  readonly owner: string;
  readonly seconds: number;
}

/** Locks are for all to see, and each transaction that writes holds one on its own number. */
const OPEN = `
  SELECT l.pid::text AS pid, min(l.transactionid::text::bigint)::text AS xid, a.usename AS role, a.datname AS database,
         a.application_name AS application, extract(epoch FROM clock_timestamp() - a.xact_start)::text AS seconds
    FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
   WHERE l.locktype = 'transactionid' AND l.mode = 'ExclusiveLock' AND l.granted AND l.pid <> pg_backend_pid()
   GROUP BY 1, 3, 4, 5, 6 ORDER BY 2`;

const PREPARED = `
  SELECT gid, database, owner, extract(epoch FROM clock_timestamp() - prepared)::text AS seconds
    FROM pg_catalog.pg_prepared_xacts ORDER BY prepared`;

type Texts<T> = { [K in keyof T]: string | null };

/** Those that have been open for so long that a new slot would not wait for them. */
export async function readLongTransactions(client: Client): Promise<OpenTransaction[]> {
  const first = await readOpen(client);
  const long = first.filter(({ seconds }) => seconds !== null && seconds >= LONG_S);
  const hidden = first.filter(({ seconds }) => seconds === null);
  if (hidden.length === 0) return long;
  // How old they are is not for this role to see: those that are still there are worth a word.
  await sleep(SECOND_LOOK_MS);
  const second = new Set((await readOpen(client)).map(({ xid }) => xid));
  return [...long, ...hidden.filter(({ xid }) => second.has(xid))];
}

async function readOpen(client: Client): Promise<OpenTransaction[]> {
  const { rows } = await client.query<Texts<OpenTransaction>>(OPEN);
  return rows.map(({ pid, xid, seconds, role, application, database }) => ({
    pid: Number(pid),
    xid: xid!,
    seconds: seconds === null ? null : Number(seconds),
    role,
    application,
    database,
  }));
}

export async function readPrepared(client: Client): Promise<PreparedTransaction[]> {
  const { rows } = await client.query<Texts<PreparedTransaction>>(PREPARED);
  return rows.map(({ gid, database, owner, seconds }) => ({
    gid: gid!,
    database: database!,
    owner: owner!,
    seconds: Number(seconds),
  }));
}

const WHY =
  'a new slot begins when all transactions that write have ended, in every database of the server: until then no listener ' +
  'that is new, and no tail, gets one. A slot that is there already is not held up.';

export function checkTransactions(
  open: readonly OpenTransaction[],
  prepared: readonly PreparedTransaction[],
  ageText: (seconds: number) => string,
): Finding[] {
  const findings = [
    ...open.map(({ pid, seconds, role, application, database }) => {
      const age = seconds === null ? 'for a while' : `for ${ageText(seconds)}`;
      const who = `pid ${pid}, user ${role ?? '?'}, application "${application ?? '?'}", database ${database ?? '?'}`;
      return fault('error', 'open-transaction', `A transaction that writes has been open ${age} (${who})`, WHY, [
        { step: 'have it end: COMMIT or ROLLBACK where it was begun; or end its session:' },
        ...bySuperuser(`SELECT pg_terminate_backend(${pid});`),
      ]);
    }),
    ...prepared.map(({ gid, database, owner, seconds }) =>
      fault(
        'error',
        'prepared-transaction',
        `The transaction ${escapeLiteral(gid)} has been prepared for ${ageText(seconds)} and is not committed`,
        WHY,
        [
          { step: `as ${owner} or a superuser, in the database "${database}"; COMMIT PREPARED, if it is to count:` },
          ...bySuperuser(`ROLLBACK PREPARED ${escapeLiteral(gid)};`),
        ],
      ),
    ),
  ];
  return findings.length > 0 ? findings : [ok('open-transaction', 'No transaction would hold up a new slot')];
}
