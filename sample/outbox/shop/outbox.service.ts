import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import type { PoolClient } from 'pg';
import { OUTBOX, type OutboxEvent } from '../event.js';

@Injectable()
export class OutboxService {
  /**
   * Writes an event into the write-ahead log and nowhere else: no table to insert into, to poll and to sweep. `true` makes it
   * a part of the transaction: it is committed with the rows, or was never said.
   */
  async write(client: PoolClient, what: Omit<OutboxEvent, 'id'>): Promise<void> {
    const event: OutboxEvent = { id: randomUUID(), ...what };
    await client.query('SELECT pg_logical_emit_message(true, $1, $2::text)', [OUTBOX, JSON.stringify(event)]);
  }
}
