import { Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { SkipChange, type InsertChange } from 'nestjs-pg-listener';
import type { Order } from './order.js';

/** Orders of whoever tries the shop out reserve nothing. */
@Injectable()
export class TestOrdersGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const [{ record }] = context.getArgs<[InsertChange<Order>]>();
    // `false` would be a failure, to be tried again, and parked. This passes the change over, and counts it as skipped.
    if (record.item === 'test') throw new SkipChange({ reason: 'an order of a test' });
    return true;
  }
}
