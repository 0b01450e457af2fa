import { ReplicationPublisher } from '#lib/replication/replication.publisher.js';
import { ReplicationServer } from '#lib/replication/replication.server.js';
import { lsnFromParts } from '#lib/protocol/lsn.js';
import { optionsOf, type PluginOptions, type StreamMessage } from './messages.js';

export interface Tapped {
  readonly options: PluginOptions;
  readonly messages: StreamMessage[];
}

/** Listens at the place where our decoder is given its messages, until `close`. Each slot has a list of its own. */
export class DecoderTap {
  private readonly bySlot = new Map<string, Tapped>();
  private readonly start = ReplicationServer.prototype.start;
  private readonly data = ReplicationPublisher.prototype.data;
  private readonly listeners = new WeakMap<object, Tapped>();

  constructor() {
    const { bySlot, start, data, listeners } = this;
    const openings: Tapped[] = [];
    ReplicationServer.prototype.start = function (command) {
      const slot = /SLOT "?(\w+)"?/.exec(command)![1]!;
      const tapped = { options: optionsOf(command), messages: [] };
      bySlot.set(slot, tapped);
      openings.push(tapped);
      return start.call(this, command);
    };
    ReplicationPublisher.prototype.data = function (buffer, from, to, high, low) {
      let tapped = listeners.get(this);
      // One stream is opened after another, and the first thing that a new publisher is given is the last one's.
      if (tapped === undefined) listeners.set(this, (tapped = openings.shift()!));
      tapped.messages.push({ lsn: lsnFromParts(high, low), data: Buffer.from(buffer.subarray(from, to)) });
      return data.call(this, buffer, from, to, high, low);
    };
  }

  of(slot: string): Tapped {
    return this.bySlot.get(slot)!;
  }

  close(): void {
    ReplicationServer.prototype.start = this.start;
    ReplicationPublisher.prototype.data = this.data;
  }
}
