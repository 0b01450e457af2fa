import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { freePort } from '#lib/testing/free-port.js';
import { waitFor } from './wait.js';

const MAIN = fileURLToPath(new URL('../../sample/live-orders/main.js', import.meta.url));

/** Ends the sample when its standard input closes, which it does when the test's process is gone. */
const END_WITH_THE_TEST = "data:text/javascript,process.stdin.resume().once('close', () => process.exit(1))";

/** The sample, in a process of its own, on one port for its whole life. */
export class LiveOrders {
  private child: ChildProcess | undefined;
  private text = '';

  private constructor(
    private readonly databaseUrl: string,
    private readonly port: number,
  ) {}

  /** Starts it on this database; it listens when this resolves. */
  static async start(databaseUrl: string): Promise<LiveOrders> {
    const sample = new LiveOrders(databaseUrl, await freePort());
    await sample.start();
    return sample;
  }

  /** Of the page, with a slash at the end. */
  get url(): string {
    return `http://127.0.0.1:${this.port}/`;
  }

  /** All that it has printed, over all its starts. */
  get output(): string {
    return this.text;
  }

  /** Starts it again, on the same port, after `stop()` or `kill()`. */
  async start(): Promise<void> {
    const from = this.text.length;
    const child = spawn(process.execPath, ['--import', END_WITH_THE_TEST, MAIN], {
      env: { ...process.env, DATABASE_URL: this.databaseUrl, PORT: String(this.port), HOST: '', NO_COLOR: '1' },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.child = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => (this.text += text));
    }
    await waitFor(
      () => this.text.includes(`http://localhost:${this.port}`, from) || hasEnded(child),
      () => `the sample to listen; ${this.text}`,
    ).catch(async (error: unknown) => {
      await this.kill();
      throw error;
    });
    if (hasEnded(child)) throw new Error(`The sample has ended: ${this.text}`);
  }

  /** Ends it as Ctrl-C does. @returns its exit code */
  async stop(): Promise<number | null> {
    return this.end('SIGINT');
  }

  /** Ends it without a word. */
  async kill(): Promise<void> {
    await this.end('SIGKILL');
  }

  private async end(signal: NodeJS.Signals): Promise<number | null> {
    const child = this.child;
    if (child === undefined) return null;
    if (!hasEnded(child)) {
      const exit = once(child, 'exit');
      child.kill(signal);
      await exit;
    }
    this.child = undefined;
    return child.exitCode;
  }
}

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}
