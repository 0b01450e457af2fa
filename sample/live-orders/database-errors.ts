import { ServiceUnavailableException } from '@nestjs/common';

const HINTS: Record<string, string> = {
  ECONNREFUSED: 'Does the server run, and is that its port?',
  ENOTFOUND: 'Is the name of the host right?',
  '28P01': 'Correct the password in DATABASE_URL.',
  '28000': 'Does pg_hba.conf let this user in from here?',
  '3D000': 'Create it, or name another one.',
  '42703': 'A table "orders" of another shape is in the way. Name another database.',
};

/** A database that the sample cannot start on, in words for the person who chose it. */
export function cannotStartOn(psql: string, error: unknown): Error {
  const hint = HINTS[(error as { code?: string }).code ?? ''] ?? '';
  const text = [
    `the database cannot be used: ${reasonOf(error)}. ${hint}`.trimEnd(),
    `  To try it by hand: ${psql}`,
    '  DATABASE_URL names the database. Without it, the sample starts a PostgreSQL of its own.',
  ].join('\n');
  return new Error(text, { cause: error });
}

/** No PostgreSQL of our own: there are no binaries for this platform, or they were not installed. */
export function noServer(error: unknown): never {
  const [reason] = reasonOf(error).split('\n');
  throw new Error(
    `no PostgreSQL could be started here: ${reason}\n  Name one of yours: DATABASE_URL=postgresql://...`,
    {
      cause: error,
    },
  );
}

/** A statement that failed, for the page: the database's own text is no secret on one's own machine. */
export function unavailable(error: unknown): never {
  throw new ServiceUnavailableException(`The database did not take it: ${reasonOf(error)}`, { cause: error });
}

/** A host name with several addresses fails with one error for each, and a message of its own that is empty. */
function reasonOf(error: unknown): string {
  const { message, errors } = error as { message: string; errors?: Error[] };
  return message || errors?.map((each) => each.message).join(', ') || String(error);
}
