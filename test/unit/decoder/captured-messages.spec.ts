import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { MESSAGE_NAMES } from '#lib/decoder/pgoutput-messages.js';
import { parseLsn } from '#lib/protocol/lsn.js';
import { readFixtures, type CapturedStream, type ExpectedWorkload } from '../../support/oracles/fixture.js';
import { inWords, listen, oidsOf } from '../../support/oracles/replay-fixture.js';
import { packageRoot } from '../package-root.js';
import { DecoderUnderTest } from './recording-visitor.js';

const FIXTURES = readFixtures(join(packageRoot(), 'test/fixtures/pgoutput'));
const STREAMS = FIXTURES.flatMap(({ major, expected, streams }) =>
  streams.map((stream) => ({ major, form: stream.name, expected, stream })),
);
const kindsOf = ({ messages }: CapturedStream): string[] => messages.map(({ data }) => MESSAGE_NAMES[data[0]!]!);

/** `YYYY-MM-DDTHH:MM:SS.mmm` of microseconds: a Date has no more. */
const toDate = (microseconds: string): Date => new Date(Number(BigInt(microseconds) / 1_000n));

describe.each(STREAMS)('what PostgreSQL $major has sent, in the form "$form"', ({ expected, stream }) => {
  const heard = listen(stream.messages, stream.options, oidsOf(expected.types), stream.name === 'two-phase');

  it('is what SQL says of the same workload, in the same order', () => {
    expect(heard.map(({ events }) => events.map(inWords))).toEqual(expected.transactions.map(({ changes }) => changes));
    expect(heard.every(({ isCommitted }) => isCommitted)).toBe(true);
  });

  it('names the transaction, when and where it was committed, and its origin', () => {
    expect(heard).toHaveLength(expected.transactions.length);
    heard.forEach(({ info, events }, index) => {
      const { xid, committedAt, origin, between } = expected.transactions[index]!;
      const [from, to] = between.map(parseLsn) as [bigint, bigint];
      if (info === null) {
        expect(events[0]).toMatchObject({ transactional: false, xid: null });
        expect(parseLsn((events[0] as { lsn: string }).lsn)).toBeGreaterThan(from);
        return;
      }
      expect({ xid: info.xid, origin: info.origin }).toEqual({ xid, origin });
      expect(info.commitTimestamp).toEqual(toDate(committedAt!));
      expect(info.commitLsn >= from && info.commitLsn < to).toBe(true);
    });
  });

  it('has the columns that an update has changed, where the whole old row tells', () => {
    for (const event of heard.flatMap(({ events }) => events)) {
      if (!('operation' in event) || event.operation !== 'update') continue;
      const words = inWords(event) as { record: object; old: Record<string, unknown> | null };
      const differing = Object.entries(words.record)
        .filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(words.old?.[name]))
        .map(([name]) => name);
      expect(event.changedColumns).toEqual(event.table === 'whole' ? differing : null);
    }
  });
});

const streamsNamed = (name: string): { expected: ExpectedWorkload; stream: CapturedStream }[] =>
  STREAMS.filter(({ form }) => form === name);

describe('what was captured', () => {
  it('has every message that the protocol knows, from every version that sends it', () => {
    expect(FIXTURES.map(({ major }) => major)).toEqual(['14', '15', '16', '17', '18']);
    for (const { major, streams } of FIXTURES) {
      const missing = new Set(Object.values(MESSAGE_NAMES));
      for (const kind of streams.flatMap(kindsOf)) missing.delete(kind);
      const twoPhase = ['BeginPrepare', 'Prepare', 'CommitPrepared', 'RollbackPrepared', 'StreamPrepare'];
      expect([major, ...missing].sort()).toEqual([major, ...(major === '14' ? twoPhase : [])].sort());
    }
  });

  it.each(['streamed', 'two-phase', 'parallel'])('tells of what was rolled back in a part: %s', (name) => {
    for (const { expected, stream } of streamsNamed(name)) {
      const decoder = new DecoderUnderTest();
      const aborts = stream.messages
        .filter(({ data }) => data[0] === 0x41)
        .map(
          ({ data }) => decoder.decode(data)![1] as { subXid: number; abort: null | { lsn: bigint; timestamp: Date } },
        );
      expect(aborts.map(({ subXid }) => subXid)).toEqual(expect.arrayContaining([...expected.aborted]));
      for (const { abort } of aborts) {
        if (name !== 'parallel') expect(abort).toBeNull();
        else {
          const ends = expected.transactions.flatMap(({ between }) => between.map(parseLsn));
          const times = expected.transactions.flatMap(({ committedAt }) =>
            committedAt === null ? [] : [toDate(committedAt)],
          );
          expect(abort!.lsn > ends[0]! && abort!.lsn < ends.at(-1)!).toBe(true);
          expect(+abort!.timestamp).toBeGreaterThanOrEqual(+times[0]!);
          expect(+abort!.timestamp).toBeLessThanOrEqual(+times.at(-1)!);
        }
      }
    }
  });
});
