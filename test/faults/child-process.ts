import { fork, type ChildProcess } from 'node:child_process';
import type { ChildOptions } from './handlers.js';
import type { Subject } from './subjects.js';

export interface Child {
  readonly name: string;
  readonly process: ChildProcess;
  readonly messages: Record<string, unknown>[];
  /** The last state that it told. */
  state: string;
  readonly exited: Promise<void>;
  output: string;
  /** What has been done to it: an end of another kind is a crash. */
  asked: 'nothing' | 'to stop' | 'to die';
}

/** @param crashed told of a process that ends in another way than it was asked to */
export function startChild(subject: Subject, options: ChildOptions, crashed: (what: string) => void): Child {
  const { name } = options;
  const process = fork(subject.script, [...(subject.arguments ?? []), JSON.stringify(options)], {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  const child: Child = {
    name,
    process,
    messages: [],
    state: 'idle',
    exited: new Promise((done) => process.once('exit', () => done())),
    output: '',
    asked: 'nothing',
  };
  process.once('exit', (code, signal) => {
    const isRight =
      (child.asked === 'to die' && signal === 'SIGKILL') ||
      (child.asked === 'to stop' && code === 0) ||
      (options.dieAfterCommits !== undefined && signal === 'SIGKILL');
    if (!isRight) crashed(`${name}, asked ${child.asked}, ended with ${code ?? signal}: ${lastOf(child.output)}`);
  });
  process.on('message', (message: Record<string, unknown>) => {
    child.messages.push(message);
    if (typeof message['state'] === 'string') child.state = message['state'];
  });
  for (const stream of [process.stdout!, process.stderr!]) {
    stream.setEncoding('utf8').on('data', (text: string) => (child.output = (child.output + text).slice(-20_000)));
  }
  return child;
}

export function hasEnded({ process }: Child): boolean {
  return process.exitCode !== null || process.signalCode !== null;
}

function lastOf(output: string): string {
  return output.trim().slice(-500);
}
