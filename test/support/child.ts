import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** An application in a process of its own; it ends with this one. */
export interface ChildApplication {
  readonly process: ChildProcess;
  readonly messages: Record<string, unknown>[];
  readonly output: () => string;
  kill(): Promise<void>;
}

export function startChild(
  url: string,
  slot: string,
  mode: 'journal' | 'lanes' | 'count' | 'streamed',
  execArgv: string[] = [],
): ChildApplication {
  return startScript('listener-child', [url, slot, mode], execArgv);
}

/** @param name of a file in `children`, without its ending */
export function startScript(name: string, args: string[], execArgv: string[] = []): ChildApplication {
  const script = fileURLToPath(new URL(`./children/${name}.js`, import.meta.url));
  const child = fork(script, args, { stdio: ['ignore', 'pipe', 'pipe', 'ipc'], execArgv });
  const messages: Record<string, unknown>[] = [];
  let output = '';
  child.on('message', (message) => messages.push(message as Record<string, unknown>));
  for (const stream of [child.stdout!, child.stderr!]) {
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  }
  const exited = new Promise<void>((done) => child.once('exit', () => done()));
  return {
    process: child,
    messages,
    output: () => output,
    kill: async () => {
      child.kill('SIGKILL');
      await exited;
    },
  };
}
