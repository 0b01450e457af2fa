import { BadRequestException, Controller, Param, Post } from '@nestjs/common';
import { InjectPgListener, type PgListener } from 'nestjs-pg-listener';
import { Database } from './database.js';
import { WarehouseService, type Mood } from './warehouse.service.js';

/** What can be ordered, by its path. */
const ITEMS = new Map([
  ['book', 'a book'],
  ['unicorn', 'a unicorn'],
  ['test', 'test'],
]);
const MOODS: readonly string[] = ['fine', 'slow', 'broken'] satisfies Mood[];

/** What one can do to the sample from outside. */
@Controller()
export class OrdersController {
  constructor(
    private readonly database: Database,
    private readonly warehouse: WarehouseService,
    @InjectPgListener() private readonly listener: PgListener,
  ) {}

  @Post('orders')
  order(): Promise<{ id: number }> {
    return this.orderItem('book');
  }

  @Post('orders/:item')
  async orderItem(@Param('item') name: string): Promise<{ id: number }> {
    const item = ITEMS.get(name);
    if (item === undefined) throw new BadRequestException(`one of ${[...ITEMS.keys()].join(', ')} is wanted`);
    return { id: await this.database.addOrder(item) };
  }

  @Post('warehouse/:mood')
  setMood(@Param('mood') mood: string): { warehouse: string } {
    if (!MOODS.includes(mood)) throw new BadRequestException(`one of ${MOODS.join(', ')} is wanted`);
    this.warehouse.mood = mood as Mood;
    return { warehouse: mood };
  }

  /** One more try for everything that was parked meanwhile. */
  @Post('parked/retry')
  async retryParked(): Promise<unknown> {
    return this.listener.parked.retry({});
  }
}
