import type { HandlerStats } from '../interfaces/handler-stats.interface.js';
import type { SlotStats } from '../interfaces/slot-stats.interface.js';
import type { PgListenerHealth, PgListenerState, PgListenerStats } from '../interfaces/status.interface.js';

/** One value; its labels besides `app`. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** What is known of one app. */
export interface AppFacts {
  readonly health: PgListenerHealth;
  readonly stats: PgListenerStats;
}

export interface Definition {
  readonly type: 'counter' | 'gauge';
  readonly name: string;
  readonly help: string;
  /** Besides `app`. */
  readonly labels: readonly string[];
  /** The server has to be asked. */
  readonly isMeasured: boolean;
  readonly samples: (facts: AppFacts) => readonly Sample[];
}

/** Metrics of which there is one distribution for each handler. */
export const DURATIONS = {
  name: 'pg_listener_handler_duration_seconds',
  help: 'How long calls of a handler took, failed ones included.',
};

const STATES: readonly PgListenerState[] = [
  'idle',
  'connecting',
  'streaming',
  'standby',
  'backing-off',
  'halted',
  'stopped',
];

export const DEFINITIONS: readonly Definition[] = [
  ofApp('gauge', 'up', '1 where the app streams, stands by or is switched off; 0 where it is down.', ({ health }) =>
    health.status === 'up' ? 1 : 0,
  ),
  {
    ...base('gauge', 'state', '1 for the state that the app is in, 0 for the others.', ['state']),
    samples: ({ health }) => STATES.map((state) => ({ labels: { state }, value: state === health.state ? 1 : 0 })),
  },
  ofStats(
    'counter',
    'changes_received_total',
    'Row changes that the publications brought, handled or not; again where they came again.',
    (stats) => stats.changesReceived,
  ),
  ofStats(
    'counter',
    'transactions_received_total',
    'Transactions that came over the stream.',
    (stats) => stats.transactionsReceived,
  ),
  ofStats(
    'counter',
    'repeats_total',
    'Changes that came again to transactional handlers, which had done them.',
    (stats) => stats.repeats,
  ),
  ofStats('counter', 'reconnects_total', 'Streams that followed the first one.', (stats) => stats.reconnects),
  {
    ...base('counter', 'gaps_total', 'Gaps that were told, in which changes may be missing.', ['kind']),
    samples: ({ stats }) => Object.entries(stats.gaps.found).map(([kind, value]) => ({ labels: { kind }, value })),
  },
  ofStats('gauge', 'gaps_open', 'Gaps that no stream has begun behind.', (stats) => stats.gaps.open),
  ofStats(
    'gauge',
    'lag_seconds',
    'Age of the oldest change that is not finished; absent on a standby.',
    (stats) => stats.lagSeconds,
  ),
  ofStats('gauge', 'pending_changes', 'Changes received and not finished.', (stats) => stats.pendingChanges),
  ofStats('gauge', 'pending_bytes', 'Their bytes on the wire.', (stats) => stats.pendingBytes),
  ofStats(
    'gauge',
    'unsettled_transactions',
    'Transactions received and not settled.',
    (stats) => stats.unsettledTransactions,
  ),
  ofSlot('lag_bytes', 'Log between the confirmed position and its end.', (slot) => slot.lagBytes),
  ofSlot('slot_retained_bytes', 'Log that the server keeps for the slot.', (slot) => slot.retainedBytes),
  ofSlot(
    'slot_safe_bytes',
    'Log that can be written before max_slot_wal_keep_size costs the slot; +Inf without a limit.',
    (slot) => slot.safeBytes ?? (slot.invalidated === null ? Infinity : 0),
  ),
  ofSlot(
    'slot_seconds_until_invalidated',
    'Until the server may give the slot up, as the log grows now; +Inf where nothing limits it.',
    (slot) => slot.secondsUntilInvalidated,
  ),
  ofSlot('slot_invalidated', '1 where the server has given the slot up.', (slot) =>
    slot.invalidated === null ? 0 : 1,
  ),
  ofSlot('slot_active', '1 where somebody streams from the slot.', (slot) => (slot.isActive ? 1 : 0)),
  {
    ...base('gauge', 'slot_measured', '0 where the server did not tell of the slot when it was asked.', []),
    isMeasured: true,
    samples: ({ stats }) =>
      stats.slot === null && stats.slotProblem === null
        ? []
        : [{ labels: {}, value: stats.slotProblem === null ? 1 : 0 }],
  },
  {
    ...base('counter', 'handler_changes_total', 'What a handler got, by what became of it.', ['handler', 'outcome']),
    samples: ({ stats }) => stats.handlers.flatMap(outcomesOf),
  },
  ofHandler('counter', 'handler_failures_total', 'Calls of a handler that failed.', ({ failures }) => failures),
  ofHandler('gauge', 'handler_in_flight', 'Calls of a handler that run now.', ({ inFlight }) => inFlight),
  ofHandler('gauge', 'handler_parked_changes', 'Changes that are parked for a handler now.', ({ parked }) => parked),
];

function base(
  type: Definition['type'],
  name: string,
  help: string,
  labels: readonly string[],
): Omit<Definition, 'samples'> {
  return { type, name: `pg_listener_${name}`, help, labels, isMeasured: false };
}

function ofApp(
  type: Definition['type'],
  name: string,
  help: string,
  valueOf: (facts: AppFacts) => number | null,
): Definition {
  return {
    ...base(type, name, help, []),
    samples: (facts) => {
      const value = valueOf(facts);
      return value === null ? [] : [{ labels: {}, value }];
    },
  };
}

function ofStats(
  type: Definition['type'],
  name: string,
  help: string,
  valueOf: (stats: PgListenerStats) => number | null,
): Definition {
  return ofApp(type, name, help, ({ stats }) => valueOf(stats));
}

/** Absent where the slot is not known: what was true of it last would keep an alert quiet. */
function ofSlot(name: string, help: string, valueOf: (slot: SlotStats) => number | null): Definition {
  const definition = ofStats('gauge', name, help, ({ slot }) => (slot === null ? null : valueOf(slot)));
  return { ...definition, isMeasured: true };
}

function ofHandler(
  type: Definition['type'],
  name: string,
  help: string,
  valueOf: (handler: HandlerStats) => number,
): Definition {
  return {
    ...base(type, name, help, ['handler']),
    samples: ({ stats }) => stats.handlers.map((each) => ({ labels: { handler: each.handler }, value: valueOf(each) })),
  };
}

function outcomesOf({ handler, handled, skipped, parkings }: HandlerStats): Sample[] {
  return [
    { labels: { handler, outcome: 'handled' }, value: handled },
    { labels: { handler, outcome: 'skipped' }, value: skipped },
    { labels: { handler, outcome: 'parked' }, value: parkings },
  ];
}
