import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import type { Order } from './order.js';

export type Mood = 'fine' | 'slow' | 'broken';

export class OutOfStockError extends Error {}

/** Stands for a service elsewhere, which is slow or out of order when one tells it to be. */
@Injectable()
export class WarehouseService {
  mood: Mood = 'fine';
  readonly reserved: number[] = [];

  async reserve({ id, item }: Order): Promise<void> {
    await sleep(this.mood === 'slow' ? 2_000 : 10);
    if (this.mood === 'broken') throw new Error('the warehouse is out of order');
    if (item === 'a unicorn') throw new OutOfStockError(`there is no ${item}`);
    this.reserved.push(id);
  }
}
