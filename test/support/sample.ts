import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { waitFor } from './wait.js';

/** The samples close in order on a signal; where the test run itself is gone, there is nobody to send one. */
const END_WITH_PARENT = 'data:text/javascript,process.on("disconnect",()=>process.exit(1))';

export interface SampleExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A compiled sample in a process of its own. */
export interface SampleProcess {
  readonly pid: number;
  /** What it printed, without colours. */
  output(): string;
  /** The address that it printed. Fails where it ends before. */
  url(): Promise<string>;
  signal(signal: NodeJS.Signals): void;
  readonly exited: Promise<SampleExit>;
  /** SIGKILL, where it still runs. */
  kill(): Promise<void>;
}

/** @param environment added to that of the test; `undefined` takes a variable away */
export function startSample(name: string, environment: Record<string, string | undefined>): SampleProcess {
  const script = fileURLToPath(new URL(`../../sample/${name}/main.js`, import.meta.url));
  const child = fork(script, {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    env: { ...process.env, NODE_OPTIONS: '', NO_COLOR: '1', ...environment },
    execArgv: ['--import', END_WITH_PARENT],
  });
  let text = '';
  for (const stream of [child.stdout!, child.stderr!]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  }
  let isRunning = true;
  const exited = new Promise<SampleExit>((done) =>
    child.once('close', (code, signal) => {
      isRunning = false;
      done({ code, signal });
    }),
  );
  return {
    pid: child.pid!,
    output: () => text,
    url: async () => {
      const [, url] = await waitFor(
        () => {
          if (!isRunning) throw new Error(`The sample ended before it listened: ${text}`);
          return /(http:\/\/[\w.]+:\d+)\S*\n[^]*Stop +Ctrl-C/.exec(text);
        },
        () => `the sample to listen: ${text}`,
        25_000,
      );
      return url!;
    },
    signal: (signal) => child.kill(signal),
    exited,
    kill: async () => {
      child.kill('SIGKILL');
      await exited;
    },
  };
}
