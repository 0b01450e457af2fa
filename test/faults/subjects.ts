import { fileURLToPath } from 'node:url';
import { HANDLERS, type ChildOptions, type HandlerName, type Way } from './handlers.js';

export type Behaviour = Partial<Omit<ChildOptions, 'url' | 'slot' | 'directory' | 'name'>>;

/** Who is put through faults. */
export interface Subject {
  /** Run with `ChildOptions` as JSON; tells its states, and writes a journal. */
  readonly script: string;
  /** Before the options. */
  readonly arguments?: readonly string[];
  /** Of all its processes. */
  readonly behaviour?: Behaviour;
  /** Of the server, besides those of the fault. */
  readonly settings?: Readonly<Record<string, string>>;
  readonly handlers: readonly HandlerName[];
  readonly seesWhole: boolean;
  /** In the end, it has confirmed everything; and it writes down the positions of commits, and what rows contained. */
  readonly isOurs?: boolean;
  /** Without anything new for so long, what is missing is lost. */
  readonly stallMs?: number;
  /** After so long, what is missing is lost, although the same comes again and again. */
  readonly longestMs?: number;
}

export const OURS: Subject = {
  script: fileURLToPath(new URL('./child.js', import.meta.url)),
  handlers: Object.keys(HANDLERS) as HandlerName[],
  seesWhole: true,
  isOurs: true,
};

/** The same with one handler, as others have. */
export const OURS_ALONE: Subject = { ...OURS, behaviour: { isAlone: true }, handlers: ['serial'], seesWhole: false };

/** The same, whose stream comes in other ways. */
export function oursWith(ways: readonly Way[], version: number): Subject {
  // Every transaction comes while it is in progress; before 16 only one that outgrows this.
  const always: Subject['settings'] = version >= 16 ? { debug_logical_replication_streaming: 'immediate' } : {};
  const settings = ways.includes('streaming') ? { logical_decoding_work_mem: '64kB', ...always } : {};
  return { ...OURS, behaviour: { ways }, settings };
}
