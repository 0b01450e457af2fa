import { UsageError } from '../usage.error.js';

/** Options of the module that ask more of the server than others: each is looked at where it is to be set. */
const WISHES = {
  streaming: 'streaming: true',
  twoPhase: 'twoPhase: true',
  binary: 'binary: true',
  toast: "toast: 'reread'",
  origin: "origin: 'none'",
  failover: 'slot: { failover: true }',
  rich: "types: 'rich'",
} as const;

export type Wish = keyof typeof WISHES;

export const WISH_NAMES = Object.keys(WISHES).join(', ');

/** @throws UsageError */
export function readWishes(texts: readonly string[]): ReadonlySet<Wish> {
  const names = texts.flatMap((text) => text.split(',')).map((name) => name.trim());
  for (const name of names) {
    if (!Object.hasOwn(WISHES, name)) {
      throw new UsageError(`--with knows no option "${name}"`, { hint: `it is one of ${WISH_NAMES}.` });
    }
  }
  return new Set(names as Wish[]);
}

/** As it stands in the options of the module. */
export function wishText(wish: Wish): string {
  return `\`${WISHES[wish]}\``;
}
