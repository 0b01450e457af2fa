/** Reads changes that an application sends as Server-Sent Events, until it ends. @returns `app operation order` of each change */
export async function lookOn(url: string): Promise<Set<string>> {
  const seen = new Set<string>();
  const { body } = await fetch(url);
  void read(body!, ({ app, operation, record }) => seen.add(`${app} ${operation} ${record.order_id ?? record.id}`));
  return seen;
}

interface ShownChange {
  readonly app: string;
  readonly operation: string;
  readonly record: { readonly id?: number; readonly order_id?: number };
}

async function read(body: ReadableStream<Uint8Array>, onChange: (change: ShownChange) => void): Promise<void> {
  let rest = '';
  try {
    for await (const chunk of body.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop()!;
      for (const line of lines) if (line.startsWith('data: {')) onChange(JSON.parse(line.slice(6)) as ShownChange);
    }
  } catch {
    // The application has ended, and the connection with it.
  }
}
