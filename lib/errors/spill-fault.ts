import { SpillError } from './delivery.error.js';

/** What could not be kept on disk, in the words of whoever keeps it. */
export interface SpillCase {
  readonly app: string;
  /** What is kept, what has happened to it, and where. */
  readonly what: string;
  readonly cause: unknown;
  /** What the folder needs room for. */
  readonly roomFor: string;
  /** What would need no room, as part of a sentence. */
  readonly instead: string;
  /** Why nothing is lost. */
  readonly comesAgain: string;
}

/** Files that are open: what to raise, by the system's code. */
const TOO_MANY_FILES: Readonly<Record<string, string>> = {
  EMFILE:
    'this process has as many files and connections open as it may: let it have more (`ulimit -n`; LimitNOFILE= in a ' +
    'systemd unit; `--ulimit nofile=` of a container)',
  ENFILE: 'the whole system has as many files open as it may: raise that (`sysctl fs.file-max`)',
};

/** The error of a folder that does not take, or give back, what is above the limits. */
export function spillFault({ app, what, cause, roomFor, instead, comesAgain }: SpillCase): SpillError {
  const { code, message } = cause as NodeJS.ErrnoException;
  const mend =
    TOO_MANY_FILES[code ?? ''] ?? `set TMPDIR to a folder that this process may write to, with room for ${roomFor}`;
  return new SpillError(`${what}: ${code ?? message}`, {
    app,
    cause,
    hint: `${mend}; or ${instead}. Nothing is lost: ${comesAgain}.`,
  });
}
