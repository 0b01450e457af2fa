import {
  BadRequestException,
  Body,
  Controller,
  Get,
  HttpCode,
  Logger,
  Param,
  Post,
  ServiceUnavailableException,
  UnprocessableEntityException,
} from '@nestjs/common';
import { isOutboxEvent } from '../event.js';
import { JournalService, type Delivery, type Mood } from './journal.service.js';

const MOODS: readonly string[] = ['fine', 'down', 'picky'] satisfies Mood[];
/** Pieces of one order that it takes where it is picky. */
const MOST = 10;

/** Stands for a message broker: takes events, and can be put out of order. */
@Controller()
export class BrokerController {
  private readonly logger = new Logger('Broker');

  constructor(private readonly journal: JournalService) {}

  @Post('events')
  @HttpCode(200)
  take(@Body() event: unknown): { duplicate: boolean } {
    const { mood } = this.journal;
    if (mood === 'down') throw new ServiceUnavailableException();
    if (!isOutboxEvent(event)) throw new UnprocessableEntityException('That is no event.');
    if (mood === 'picky' && event.quantity > MOST) throw new UnprocessableEntityException(`More than ${MOST} pieces.`);
    const { isDuplicate } = this.journal.take(event);
    this.logger.log(`${event.type} ${event.order}, event ${event.id}${isDuplicate ? ' (again)' : ''}`);
    return { duplicate: isDuplicate };
  }

  @Get('deliveries')
  deliveries(): readonly Delivery[] {
    return this.journal.deliveries;
  }

  @Post('mood/:mood')
  @HttpCode(200)
  setMood(@Param('mood') mood: string): { mood: string } {
    if (!MOODS.includes(mood)) throw new BadRequestException(`one of ${MOODS.join(', ')} is wanted`);
    this.journal.mood = mood as Mood;
    return { mood };
  }
}
