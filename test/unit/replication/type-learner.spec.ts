import { describe, expect, it } from '@jest/globals';
import type { Client } from 'pg';
import { DatabaseTypes, type LearningTypes } from '#lib/connection/database-types.js';
import type { Relation } from '#lib/decoder/pgoutput-messages.js';
import { OidDatabase } from '#lib/decoder/oid-database.js';
import { ConnectionError } from '#lib/errors/replication.error.js';
import { TypeLearner } from '#lib/replication/type-learner.js';
import { LogCollector } from '../../support/application.js';
import { sleep, waitFor } from '../../support/wait.js';

const DOMAIN = 20_000;
const RELATION: Relation = {
  id: 1,
  schema: 'public',
  table: 'things',
  replicaIdentity: 'default',
  columns: [23, DOMAIN].map((typeOid, index) => ({ name: `c${index}`, typeOid, typeModifier: -1, isKey: false })),
};
const FOUND = { types: JSON.stringify([{ oid: DOMAIN, name: 'size', kind: 'domain', of: 23 }]), seen: 'true' };
const NOT_SEEN = { types: null, seen: 'false' };
const GONE = { types: null, seen: 'true' };

/** A learner that is answered by these, one after another, and by the last one from there on. */
function learnerWith(...answers: (object | Error | 'silence')[]) {
  const events: string[] = [];
  const asked: unknown[][] = [];
  const client = {
    query: async (_sql: string, parameters: unknown[]) => {
      asked.push(parameters);
      const answer = answers[Math.min(asked.length, answers.length) - 1]!;
      await sleep(1);
      if (answer === 'silence') return new Promise(() => undefined);
      if (answer instanceof Error) throw answer;
      return { rows: [answer] };
    },
  } as unknown as Client;
  const faults: Error[] = [];
  const pace = {
    hold: () => void events.push('hold'),
    release: () => void events.push('release'),
    fail: (error: Error) => void faults.push(error),
  };
  const types: LearningTypes = { oids: new OidDatabase(), parsers: new Map() };
  const known = new DatabaseTypes({ customTypes: undefined, rich: false, parsers: {} }, new LogCollector());
  const learner = new TypeLearner({ app: 'default', client, known, types, pace, patienceMs: 150 });
  return { learner, events, asked, faults, types };
}

describe('TypeLearner', () => {
  it('asks nothing and holds nothing where all types are known', () => {
    const { learner, events, asked, types } = learnerWith(FOUND);
    types.oids.add(new Map([[DOMAIN, { kind: 'enum' }]]));
    learner.met(RELATION, 7, false);
    expect([events, asked]).toEqual([[], []]);
  });

  it('holds the stream until it knows', async () => {
    const { learner, events, asked, types } = learnerWith(FOUND);
    learner.met(RELATION, 7, false);
    expect(events).toEqual(['hold']);
    await waitFor(() => events.length === 2);
    expect(events).toEqual(['hold', 'release']);
    expect(types.oids.baseTypeOid(DOMAIN)).toBe(23);
    expect(asked).toEqual([[[DOMAIN], 7]]);
  });

  it('asks again until the transaction can be seen', async () => {
    const { learner, events, asked } = learnerWith(NOT_SEEN, NOT_SEEN, FOUND);
    learner.met(RELATION, 7, false);
    await waitFor(() => events.includes('release'));
    expect(asked).toHaveLength(3);
  });

  it('goes on where the type is gone', async () => {
    const { learner, events, asked, types } = learnerWith(GONE);
    learner.met(RELATION, 7, false);
    await waitFor(() => events.includes('release'));
    expect(asked).toHaveLength(1);
    expect(types.oids.madeType(DOMAIN)).toBeUndefined();
  });

  it('waits for no transaction in progress, and asks when it has committed', async () => {
    const { learner, events, asked, types } = learnerWith(NOT_SEEN, NOT_SEEN, FOUND);
    learner.met(RELATION, 7, true);
    await waitFor(() => events.includes('release'));
    expect(asked).toHaveLength(1);
    expect(learner.committed(8)).toBeNull();
    await learner.committed(7);
    expect(types.oids.baseTypeOid(DOMAIN)).toBe(23);
    expect(learner.committed(7)).toBeNull();
  });

  it('forgets what was rolled back', async () => {
    const { learner, events } = learnerWith(NOT_SEEN);
    learner.met(RELATION, 7, true);
    await waitFor(() => events.includes('release'));
    learner.rolledBack(7);
    expect(learner.committed(7)).toBeNull();
  });

  it.each([
    ['that does not answer', 'silence', /public\.things could not be read .*: the server does not answer$/],
    ['that never shows the transaction', NOT_SEEN, /public\.things .*: its transaction is not visible yet$/],
    ['that refuses', new Error('no rights'), /public\.things .*: no rights$/],
  ] as const)('ends the stream, to be tried again, for a server %s', async (_, answer, message) => {
    const { learner, events, faults } = learnerWith(answer);
    learner.met(RELATION, 7, false);
    await waitFor(() => faults.length > 0, 'the end', 2_000);
    expect(faults[0]).toBeInstanceOf(ConnectionError);
    expect((faults[0] as ConnectionError).fatal).toBe(false);
    expect(faults[0]!.message).toMatch(message);
    expect(events).toEqual(['hold']);
  });
});
