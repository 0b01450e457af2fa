import { Module } from '@nestjs/common';
import { BrokerController } from './broker.controller.js';
import { JournalService } from './journal.service.js';

@Module({ controllers: [BrokerController], providers: [JournalService] })
export class BrokerModule {}
