import { escapeIdentifier } from 'pg';
import type { PgListenerError } from '../../errors/pg-listener.error.js';
import { byOwner, bySuperuser, fault, ok, type Finding } from './finding.js';
import type { ServerSurvey } from './server-survey.js';

/** The server could not be asked at all. */
export function unreachable({ message, hint }: PgListenerError): Finding {
  // The first line says what; the hint behind it is the mend.
  const mend = hint === undefined ? [] : [{ step: hint }];
  return fault('error', 'connection', message.split('\n')[0]!, 'nothing else can be looked at before.', mend);
}

export function checkReplicationRight({ role, host }: Pick<ServerSurvey, 'role' | 'host'>): Finding {
  const name = escapeIdentifier(role.name);
  if (role.mayReplicate) return ok('replication-right', `The role ${name} may use replication`);
  const grant = host === 'rds' ? `GRANT rds_replication TO ${name};` : `ALTER ROLE ${name} REPLICATION;`;
  return fault(
    'error',
    'replication-right',
    `The role ${name} lacks the attribute REPLICATION`,
    'without it, the server lets nobody make a slot or read changes.',
    bySuperuser(grant),
  );
}

/** @param error of a real attempt; undefined: none was made, for another finding would be its result */
export function checkProtocol(error: PgListenerError | null | undefined): Finding[] {
  if (error === undefined) return [];
  if (error === null) return [ok('replication-protocol', 'The replication protocol gets through')];
  return [
    fault(
      'error',
      'replication-protocol',
      `The replication protocol does not get through: ${error.message.split('\n')[0]!}`,
      'queries do; changes come over a connection of another kind, to the same address.',
      error.hint === undefined ? [] : [{ step: error.hint }],
    ),
  ];
}

export function checkPooler({ hasPooler }: Pick<ServerSurvey, 'hasPooler'>): Finding[] {
  if (!hasPooler) return [];
  return [
    fault(
      'warning',
      'pooler',
      'A connection pooler stands between here and the server',
      'settings and locks of a session do not hold behind it, and most poolers pass the replication protocol not on.',
      [
        {
          step: 'give the listener the address of PostgreSQL itself; the pool of the rest of the application may stay as it is',
        },
      ],
    ),
  ];
}

/** Whether the role could make what a listener makes by itself. @param hasPublication somebody else has made it */
export function checkCreateRight({ role }: Pick<ServerSurvey, 'role'>, hasPublication: boolean): Finding[] {
  const [name, database] = [escapeIdentifier(role.name), escapeIdentifier(role.database)];
  const readOnly = role.isReadOnly
    ? [
        fault(
          hasPublication ? 'warning' : 'error',
          'read-only',
          `Transactions of the role ${name} are read-only`,
          'a listener makes its publication and keeps records of its slot.',
          bySuperuser(
            `ALTER ROLE ${name} SET default_transaction_read_only = off;`,
            `ALTER ROLE ${name} IN DATABASE ${database} SET default_transaction_read_only = off;`,
          ),
        ),
      ]
    : [];
  if (role.mayCreate) return [...readOnly, ok('create-right', `The role may create in the database ${database}`)];
  return [
    ...readOnly,
    fault(
      hasPublication ? 'warning' : 'error',
      'create-right',
      `The role ${name} may not create in the database ${database}`,
      hasPublication
        ? 'with a publication of yours it is enough to read changes; the schema in which a listener keeps its records has to be made by another one.'
        : 'a listener makes its publication and a small schema of its own there, or is given a publication of yours.',
      byOwner(`GRANT CREATE ON DATABASE ${database} TO ${name};`),
    ),
  ];
}
