import { NO_PACE } from '../no-pace.js';
import { HISTORY } from '../history.js';
import type { Client } from 'pg';
import type { RowChange } from '#lib/changes/change.js';
import type { LogicalMessageEvent } from '#lib/changes/logical-message.js';
import type { CaptureImage, WireImage } from '#lib/changes/wire-image.js';
import { readPrimaryKeys } from '#lib/connection/primary-keys.js';
import { readMadeTypes } from '#lib/connection/type-catalogue.js';
import { OidDatabase } from '#lib/decoder/oid-database.js';
import type { ParkingRequest } from '#lib/interfaces/parked-store.interface.js';
import type { DeliveryUnit } from '#lib/interfaces/transaction-sink.interface.js';
import { parseLsn } from '#lib/protocol/lsn.js';
import { DeliveryProgress } from '#lib/replication/delivery-progress.js';
import { ReplicationPublisher } from '#lib/replication/replication.publisher.js';
import type { CustomTypes } from '#lib/types/type-parsers.js';
import { FakeSink } from '../../unit/replication/fake-sink.js';
import type { TestDatabase } from '../database.js';

/** A change or message as the stream handed it over, with its copy. */
export interface Received {
  readonly work: RowChange | LogicalMessageEvent;
  readonly image: WireImage | null;
}

class CapturingSink extends FakeSink {
  readonly received: Received[] = [];

  override wantsMessage(): boolean {
    return true;
  }
  override change(change: RowChange, route: unknown, bytes: number, capture?: CaptureImage): null {
    super.change(change, route, bytes);
    this.received.push({ work: change, image: capture!() });
    return null;
  }
  override message(message: LogicalMessageEvent, bytes: number, unit: DeliveryUnit | null): void {
    super.message(message, bytes, unit);
    this.received.push({ work: message, image: null });
  }
}

/**
 * Changes of a database as a server sends them, through our publisher: by SQL, from a slot of its own, so that they come
 * when they are asked for.
 */
export class WireSource {
  private constructor(
    private readonly db: TestDatabase,
    private readonly slot: string,
    private readonly customTypes: CustomTypes | undefined,
  ) {}

  static async open(db: TestDatabase, customTypes?: CustomTypes): Promise<WireSource> {
    const slot = db.slot('wire');
    await db.query('CREATE PUBLICATION wire FOR ALL TABLES');
    await db.query(`SELECT pg_create_logical_replication_slot($1, 'pgoutput')`, [slot]);
    return new WireSource(db, slot, customTypes);
  }

  /** The same slot, with other parsers. */
  withTypes(customTypes: CustomTypes): WireSource {
    return new WireSource(this.db, this.slot, customTypes);
  }

  /** Runs the statements and gives what came of them, in order. */
  async changesOf(...statements: string[]): Promise<Received[]> {
    for (const statement of statements) await this.db.query(statement);
    const rows = await this.db.query<{ lsn: string; data: Buffer }>(
      `SELECT lsn, data FROM pg_logical_slot_get_binary_changes($1, NULL, NULL, 'proto_version', '1',
         'publication_names', 'wire', 'messages', 'true')`,
      [this.slot],
    );
    const sink = new CapturingSink();
    const publisher = await this.publisher(sink);
    for (const { lsn, data } of rows) {
      const position = parseLsn(lsn);
      const frame = Buffer.from(data);
      publisher.data(frame, 0, frame.length, Number(position >> 32n) | 0, Number(position & 0xffffffffn) | 0);
      // The receive buffer is used again for what comes next.
      frame.fill(0xff);
    }
    return sink.received;
  }

  private async publisher(sink: FakeSink): Promise<ReplicationPublisher> {
    const client = this.db.client as unknown as Client;
    return new ReplicationPublisher(sink, {
      app: 'default',
      types: { oids: new OidDatabase(undefined, await readMadeTypes(client)), customTypes: this.customTypes },
      progress: new DeliveryProgress(),
      counters: { changesReceived: 0, transactionsReceived: 0 },
      primaryKeys: await readPrimaryKeys(client),
      history: HISTORY,
      received: () => undefined,
      mostStreamedBytes: 0,
      twoPhase: false,
      beganAt: 0n,
      pace: NO_PACE,
    });
  }
}

/** What the dispatcher asks of the store. */
export function parkingOf(received: Received, given: Partial<ParkingRequest> = {}): ParkingRequest {
  return {
    handler: 'Orders.on',
    keys: [],
    error: new Error('it failed'),
    attempts: 3,
    claims: false,
    ...received,
    ...given,
  };
}
