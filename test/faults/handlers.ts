import type { FaultTable } from './truth.js';

/** Which handlers a child has, and what each of them sees: the child has them, the checker expects it of them. */
export const HANDLERS = {
  serial: { tables: ['items', 'docs', 'bulk'], isTransactional: false },
  lanes: { tables: ['items', 'docs'], isTransactional: false },
  arrays: { tables: ['items', 'bulk'], isTransactional: false },
  effects: { tables: ['items', 'docs'], isTransactional: true },
  effectLanes: { tables: ['items', 'docs'], isTransactional: true },
  effectArrays: { tables: ['bulk'], isTransactional: true },
} as const satisfies Record<string, { tables: readonly FaultTable[]; isTransactional: boolean }>;

export type HandlerName = keyof typeof HANDLERS;

/** Sees whole transactions. */
export const WHOLE = 'whole';

/** Options of the app that change how a stream comes, and must not change what handlers see. */
export const WAYS = ['streaming', 'binary'] as const;
export type Way = (typeof WAYS)[number];

/** How the handlers of a child behave. */
export interface ChildOptions {
  readonly url: string;
  readonly slot: string;
  readonly isFailover?: boolean;
  /** Only the serial handler. */
  readonly isAlone?: boolean;
  /** How the stream comes. */
  readonly ways?: readonly Way[];
  readonly directory: string;
  /** Of its journal. */
  readonly name: string;
  readonly publications?: readonly string[];
  /** The serial handler takes so long, once in so many changes. */
  readonly slow?: { readonly ms: number; readonly every: number };
  /** Handlers of rows fail on so many changes out of a thousand, each change once or for ever, and their policy is this. */
  readonly failing?: {
    readonly perMille: number;
    readonly policy: 'block' | 'park' | 'skip' | 'halt';
    readonly isForEver: boolean;
  };
  /** The process ends itself, without a word, when its serial transactional handler has committed so often. */
  readonly dieAfterCommits?: number;
  /** The serial handler never returns from its n-th change. */
  readonly blockAt?: number;
}

/** The same changes for every process and run: what is to fail for ever must not pass by chance. */
export function isChosen(name: string, perMille: number): boolean {
  let hash = 0;
  for (const character of name) hash = (Math.imul(hash, 31) + character.charCodeAt(0)) >>> 0;
  return hash % 1_000 < perMille;
}

/** What a child is told. */
export type ToChild = { readonly do: 'stop' | 'retry' | 'acknowledge' | 'anew' };
