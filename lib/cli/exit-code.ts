/** What the process ends with; part of what the command line promises. */
export const ExitCode = {
  /** Done; of `doctor`: nothing keeps a listener from starting. */
  Done: 0,
  /** Not done, or not to the end; of `doctor`: something keeps a listener from starting. */
  Failed: 1,
  /** The words on the command line make no sense; nothing was tried. */
  Usage: 2,
} as const;

export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];
