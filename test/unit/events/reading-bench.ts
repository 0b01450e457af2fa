import { streamTo, type FakeSocket } from '../replication/fake-socket.js';
import type { ReplicationServer } from '#lib/replication/replication.server.js';
import { begin, commit, insert, relation, truncation, xLogData } from '../../support/pgoutput-encoder.js';
import type { BenchOptions, HandlerSpec } from './dispatcher-bench.js';
import { StreamBench, endOf } from './stream-bench.js';

const TABLES = ['orders', 'items'];
const COMMIT = 0x10000n;

/** The whole way from a socket to the handlers, of one transaction over `orders` and `items`. */
export class ReadingBench {
  readonly end = endOf(COMMIT);
  private place = COMMIT - 0x1000n;

  private constructor(
    readonly bench: StreamBench,
    readonly socket: FakeSocket,
    readonly server: ReplicationServer,
  ) {}

  static async start(handlers: readonly HandlerSpec[], options: BenchOptions = {}): Promise<ReadingBench> {
    const bench = new StreamBench(handlers, options);
    const { publisher } = bench.connection;
    const { socket, server } = await streamTo({
      data: (...message) => {
        publisher.data(...message);
        return bench.dispatcher.isBusy;
      },
      readStarts: () => bench.dispatcher.turn(),
    });
    bench.dispatcher.onFree = () => server.goOn();
    return new ReadingBench(bench, socket, server);
  }

  get isSettled(): boolean {
    return this.bench.connection.confirmable === this.end;
  }

  /** One chunk of the socket's. */
  push(...messages: readonly Buffer[]): void {
    this.socket.push(Buffer.concat(messages.map((message) => xLogData(message, (this.place += 8n)))));
  }

  begin(): Buffer[] {
    const columns = [
      { name: 'id', isKey: true },
      { name: 'tag', typeOid: 25 },
    ];
    return [...TABLES.map((table, index) => relation({ id: index + 1, table, columns })), begin(COMMIT)];
  }
  row(id: number, table = 'orders'): Buffer {
    return insert(TABLES.indexOf(table) + 1, [String(id), `row ${id}`]);
  }
  truncate(...tables: string[]): Buffer {
    return truncation(tables.map((table) => TABLES.indexOf(table) + 1));
  }
  commit(): Buffer {
    return commit(COMMIT, this.end);
  }
}
