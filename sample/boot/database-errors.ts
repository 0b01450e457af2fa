const HINTS: Record<string, string> = {
  ECONNREFUSED: 'Does the server run, and is that its port?',
  ENOTFOUND: 'Is the name of the host right?',
  '28P01': 'Correct the password in the URL.',
  '28000': 'Does pg_hba.conf let this user in from here?',
  '3D000': 'Create it, or name another one.',
  '42703': 'A table of the same name and another shape is in the way. Name another database.',
};

/**
 * A database that a sample cannot start on, in words for the person who chose it.
 *
 * @param variable that names the database
 */
export function cannotStartOn(variable: string, psql: string, error: unknown): Error {
  const hint = HINTS[(error as { code?: string }).code ?? ''] ?? '';
  const text = [
    `the database cannot be used: ${reasonOf(error)}. ${hint}`.trimEnd(),
    `  To try it by hand: ${psql}`,
    `  ${variable} names the database. Without it, the sample starts a PostgreSQL of its own.`,
  ].join('\n');
  return new Error(text, { cause: error });
}

/** No PostgreSQL of our own: there are no binaries for this platform, or they were not installed. */
export function noServer(variables: readonly string[], error: unknown): Error {
  const [reason] = reasonOf(error).split('\n');
  const mend = variables.map((variable) => `${variable}=postgresql://...`).join(' ');
  return new Error(`no PostgreSQL could be started here: ${reason}\n  Name one of yours: ${mend}`, { cause: error });
}

/** A host name with several addresses fails with one error for each, and a message of its own that is empty. */
export function reasonOf(error: unknown): string {
  const { message, errors } = error as { message: string; errors?: Error[] };
  return message || errors?.map((each) => each.message).join(', ') || String(error);
}
