import { ReplicationServer } from '#lib/replication/replication.server.js';
import { ReplicationSession } from '#lib/replication/replication.session.js';
import { lsnFromParts } from '#lib/protocol/lsn.js';
import { optionsOf, type PluginOptions, type StreamMessage } from './messages.js';

const STREAM_START = 0x53; // S

export interface Tapped {
  readonly options: PluginOptions;
  readonly messages: StreamMessage[];
  /** Parts of transactions, of all connections together. */
  parts: number;
}

/** Listens where a connection hands its messages on, until `close`. Each slot has what its last connection brought. */
export class DecoderTap {
  private readonly bySlot = new Map<string, Tapped>();
  private readonly start = ReplicationServer.prototype.start;
  private readonly data = ReplicationSession.prototype.data;

  constructor() {
    const { bySlot, start, data } = this;
    ReplicationServer.prototype.start = function (command) {
      const slot = /SLOT "?(\w+)"?/.exec(command)![1]!;
      bySlot.set(slot, { options: optionsOf(command), messages: [], parts: bySlot.get(slot)?.parts ?? 0 });
      return start.call(this, command);
    };
    ReplicationSession.prototype.data = function (buffer, from, to, high, low) {
      const slot = this['context'].life.slots.name;
      const tapped = bySlot.get(slot)!;
      tapped.messages.push({ lsn: lsnFromParts(high, low), data: Buffer.from(buffer.subarray(from, to)) });
      if (buffer[from] === STREAM_START) tapped.parts++;
      return data.call(this, buffer, from, to, high, low);
    };
  }

  of(slot: string): Tapped {
    return this.bySlot.get(slot)!;
  }

  close(): void {
    ReplicationServer.prototype.start = this.start;
    ReplicationSession.prototype.data = this.data;
  }
}
