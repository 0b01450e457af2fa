import { createServer, connect, type Socket } from 'node:net';

/** A TCP proxy before a server, for faults on the wire. */
export interface FaultProxy {
  readonly port: number;
  /** The same URL, through the proxy. */
  through(url: string): string;
  /** Changes the bytes that come from the server; null takes it away. */
  tamper(change: ((chunk: Buffer) => Buffer) | null): void;
  /** Changes the bytes that go to the server. */
  rewrite(change: (chunk: Buffer) => Buffer): void;
  /** Lets nothing through any more, in either direction, without closing anything. */
  freeze(): void;
  /** Lets so many bytes a second through from the server on each connection; null: as many as come. */
  slow(bytesPerSecond: number | null): void;
  /** Cuts every connection. */
  cut(): void;
  /** Cuts the connections for queries, and leaves those for replication. */
  cutPlain(): void;
  close(): Promise<void>;
}

export async function startProxy(target: URL): Promise<FaultProxy> {
  const sockets = new Set<Socket>();
  const plain = new Set<Socket>();
  let change: ((chunk: Buffer) => Buffer) | null = null;
  let rewritten = (chunk: Buffer): Buffer => chunk;
  let isFrozen = false;
  let rate: number | null = null;
  const server = createServer((client) => {
    const upstream = connect(Number(target.port), target.hostname);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    client.once('data', (chunk) => chunk.includes('\0replication\0') || plain.add(client));
    client.once('close', () => plain.delete(client));
    client.on('data', (chunk) => isFrozen || upstream.write(rewritten(chunk)));
    upstream.on('data', (chunk) => {
      if (isFrozen) return;
      client.write(change === null ? chunk : change(chunk));
      if (rate === null) return;
      upstream.pause();
      setTimeout(() => upstream.resume(), (chunk.length / rate) * 1_000);
    });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as { port: number };
  const cut = (): void => sockets.forEach((socket) => socket.destroy());
  return {
    port,
    through: (url) => {
      const address = new URL(url);
      address.port = String(port);
      return address.toString();
    },
    tamper: (next) => (change = next),
    rewrite: (next) => (rewritten = next),
    freeze: () => (isFrozen = true),
    slow: (bytesPerSecond) => (rate = bytesPerSecond),
    cut: () => {
      isFrozen = false;
      cut();
    },
    cutPlain: () => plain.forEach((socket) => socket.destroy()),
    close: async () => {
      cut();
      await new Promise((done) => server.close(done));
    },
  };
}
