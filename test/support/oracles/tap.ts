import { ReplicationServer } from '#lib/replication/replication.server.js';
import { ReplicationSession } from '#lib/replication/replication.session.js';
import { lsnFromParts } from '#lib/protocol/lsn.js';
import { optionsOf, type PluginOptions, type StreamMessage } from './messages.js';

export interface Tapped {
  readonly options: PluginOptions;
  readonly messages: StreamMessage[];
}

/** Listens where a connection hands its messages on, until `close`. Each slot has what its last connection brought. */
export class DecoderTap {
  private readonly bySlot = new Map<string, Tapped>();
  private readonly start = ReplicationServer.prototype.start;
  private readonly data = ReplicationSession.prototype.data;

  constructor() {
    const { bySlot, start, data } = this;
    ReplicationServer.prototype.start = function (command) {
      bySlot.set(/SLOT "?(\w+)"?/.exec(command)![1]!, { options: optionsOf(command), messages: [] });
      return start.call(this, command);
    };
    ReplicationSession.prototype.data = function (buffer, from, to, high, low) {
      const slot = this['context'].life.slots.name;
      bySlot.get(slot)!.messages.push({ lsn: lsnFromParts(high, low), data: Buffer.from(buffer.subarray(from, to)) });
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
