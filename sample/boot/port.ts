import { createServer } from 'node:net';

const DEFAULT_PORT = 3000;

export function portFrom(text: string | undefined): number {
  const port = text ? Number(text) : DEFAULT_PORT;
  if (Number.isInteger(port) && port >= 1 && port <= 65_535) return port;
  throw new Error(`PORT is "${text}"; a number from 1 to 65535 is wanted.`);
}

/** This port, so that what a page or a README says of it holds; any other where it is taken. */
export function preferred(port: number): Promise<number | undefined> {
  return assertFree(port).then(
    () => port,
    () => undefined,
  );
}

/** Asks on every address: another program on a neighbouring one would answer the browser in our place. */
export function assertFree(port: number): Promise<void> {
  return new Promise((done, fail) => {
    const probe = createServer();
    probe.once('error', ({ code, message }: NodeJS.ErrnoException) =>
      fail(new Error(explanation(port, code) ?? message)),
    );
    probe.listen(port, () => probe.close(() => done()));
  });
}

function explanation(port: number, code: string | undefined): string | undefined {
  if (code === 'EADDRINUSE') {
    return `port ${port} is taken. Stop what uses it, or choose another: PORT=${port + 1} npm start`;
  }
  if (code === 'EACCES') return `port ${port} is not open to this user. Choose one above 1023: PORT=3000 npm start`;
  return undefined;
}
