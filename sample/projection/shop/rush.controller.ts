import { Controller, HttpCode, Post } from '@nestjs/common';
import { RushService } from './rush.service.js';

const TRANSACTIONS = 1_000;

@Controller('rush')
export class RushController {
  constructor(private readonly shop: RushService) {}

  /** Answers when the shop has written all of it, which the projection may not have seen by then. */
  @Post()
  @HttpCode(200)
  async rush(): Promise<{ transactions: number }> {
    return { transactions: await this.shop.rush(TRANSACTIONS) };
  }
}
