import { isDeepStrictEqual } from 'node:util';
import { OidDatabase } from '#lib/decoder/oid-database.js';
import { PgOutputDecoder } from '#lib/decoder/pgoutput.decoder.js';
import { RelationCache } from '#lib/decoder/relation-cache.js';
import type { StreamFormat, StreamTypes } from '#lib/decoder/stream-types.js';
import { DecodeError } from '#lib/errors/decode.error.js';
import { PgListenerError } from '#lib/errors/pg-listener.error.js';
import { BinaryFormatError } from '#lib/errors/replication.error.js';
import { embedded } from '../support/pgoutput-encoder.js';
import { ListeningSink } from '../support/oracles/listening-sink.js';
import { difference } from '../support/values/difference.js';
import { RecordingVisitor } from '../unit/decoder/recording-visitor.js';
import { PublisherBench } from '../unit/replication/fake-sink.js';

/** What messages are read with: the tables that were described before them, and the form of their values. */
export interface Context {
  readonly name: string;
  readonly format: StreamFormat;
  readonly enums: readonly number[];
  readonly domains: readonly (readonly [number, number])[];
  /** Relation and Type messages. */
  readonly described: readonly Buffer[];
}

export function typesOf({ format, enums, domains }: Omit<Context, 'name' | 'described'>): StreamTypes {
  const made = new Map(enums.map((oid) => [oid, { kind: 'enum' }] as const));
  return { oids: new OidDatabase(new Map(domains), made), format };
}

/** What must never come of any bytes. */
export class Finding extends Error {}

/** Two decoders that know the same; the bytes around a message are others for each, and must not matter. */
export class MessageTarget {
  private pair: { readonly visitor: RecordingVisitor; readonly decoder: PgOutputDecoder }[] = [];

  private known: readonly RelationCache[] | undefined;

  constructor(private readonly context: Context) {}

  /** @returns what kind of thing came of it, for telling what is new. @throws Finding */
  run(message: Buffer): string {
    if (this.pair.length === 0) this.refresh();
    const [one, other] = this.pair.map((each, index) => outcomeOf(each, message, index === 0 ? 0x00 : 0xff));
    // What it has said of a table or a type holds for whatever comes behind.
    if (message[0] === 0x52 || message[0] === 0x59) this.pair = [];
    // Of two dates that are none, Node 20 says that they differ.
    if (!isDeepStrictEqual(one, other) && difference(one, other) !== undefined)
      throw new Finding('what lies around the message is read');
    return signatureOf(one!, message);
  }

  private refresh(): void {
    this.known ??= [0, 1].map(() => this.describe());
    this.pair = this.known.map((known) => {
      const types = typesOf(this.context);
      const visitor = new RecordingVisitor();
      return { visitor, decoder: new PgOutputDecoder(new RelationCache(types, known), types.oids, visitor, visitor) };
    });
  }

  /** Readers of rows are generated once: that takes longer than all else. */
  private describe(): RelationCache {
    const types = typesOf(this.context);
    const relations = new RelationCache(types);
    const decoder = new PgOutputDecoder(relations, types.oids, new RecordingVisitor(), null);
    for (const message of this.context.described) decoder.decode(message, 0, message.length);
    return relations;
  }
}

type Outcome = { readonly calls: unknown[][] } | { readonly error: string; readonly offset: number | undefined };

function outcomeOf(
  { visitor, decoder }: { visitor: RecordingVisitor; decoder: PgOutputDecoder },
  message: Buffer,
  filler: number,
): Outcome {
  visitor.calls.length = 0;
  visitor.relations.length = 0;
  const { buffer, start, end } = embedded(message, filler);
  try {
    decoder.decode(buffer, start, end);
  } catch (error) {
    if (error instanceof BinaryFormatError) return { error: error.message, offset: undefined };
    if (!(error instanceof DecodeError)) throw new Finding(`${String(error)}`, { cause: error });
    if (error.offset < 0 || error.offset > message.length)
      throw new Finding(`offset ${error.offset}`, { cause: error });
    return { error: error.message, offset: error.offset };
  }
  return { calls: visitor.calls.map((call) => [...call]) };
}

/** Without numbers and names: what is left tells one way through the code from another. */
function signatureOf(outcome: Outcome, message: Buffer): string {
  const type = message[0] ?? -1;
  if ('error' in outcome) return `${type} ${outcome.error.replaceAll(/\d+|"[^"]*"|0x[\da-f]+/g, '#').slice(0, 160)}`;
  return `${type} ${outcome.calls.map(([name, ...rest]) => `${String(name)}(${rest.map(shapeOf).join()})`).join()}`;
}

function shapeOf(value: unknown, depth: unknown = 0): string {
  if (value === null) return 'null';
  if (value instanceof Date) return Number.isNaN(+value) ? 'no date' : 'date';
  if (Buffer.isBuffer(value)) return value.length === 0 ? 'no bytes' : 'bytes';
  if (Array.isArray(value)) return value.length === 0 ? '[]' : `[${shapeOf(value[0], 1)}]`;
  if (typeof value === 'object' && depth !== 1)
    return `{${Object.values(value)
      .map((each) => shapeOf(each, 1))
      .join()}}`;
  return typeof value === 'number' && Number.isNaN(value) ? 'NaN' : typeof value;
}

/** A whole stream, with its state. @returns a signature. @throws Finding */
export function runSequence(messages: readonly Buffer[], context: Context, isTwoPhase: boolean): string {
  const sink = new ListeningSink();
  const bench = new PublisherBench(sink);
  bench.types = typesOf(context);
  bench.twoPhase = isTwoPhase;
  const connection = bench.connect();
  let lsn = 0x100n;
  let end = 'whole';
  try {
    for (const message of messages) {
      // What it replays in turns of the event loop is not waited for.
      if (connection.pace.isHeld) break;
      connection.send((lsn += 8n), message);
    }
  } catch (error) {
    if (!(error instanceof PgListenerError)) throw new Finding(String(error), { cause: error });
    end = `${error.name} ${error.message.replaceAll(/\d+|"[^"]*"|[\dA-F]+\/[\dA-F]+/g, '#').slice(0, 120)}`;
  } finally {
    connection.publisher.streamed.close();
  }
  // The places of what was handed over go up within each transaction.
  for (const { events } of sink.heard) {
    const indexes = events.flatMap((event) => ('operation' in event ? [event.index] : []));
    if (indexes.some((index, place) => place > 0 && index <= indexes[place - 1]!)) throw new Finding('out of order');
  }
  return `sequence ${end}`;
}
