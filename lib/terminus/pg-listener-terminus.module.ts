import { Module, type Type } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import type { HealthIndicatorService } from '@nestjs/terminus';
import { MissingPeerError } from '../errors/peer.error.js';
import { PgListenerRegistry } from '../pg-listener.registry.js';
import { PgListenerHealthIndicator } from './pg-listener-health.indicator.js';

/**
 * Provides `PgListenerHealthIndicator`, for the apps of every `PgListenerModule.forRoot`. Beside `TerminusModule`, which
 * has the rest of a health check.
 *
 * @throws MissingPeerError at boot, where `@nestjs/terminus` is not installed
 *
 * @publicApi
 */
@Module({
  providers: [
    {
      provide: PgListenerHealthIndicator,
      inject: [PgListenerRegistry, ModuleRef],
      useFactory: async (listeners: PgListenerRegistry, modules: ModuleRef): Promise<PgListenerHealthIndicator> => {
        const { HealthIndicatorService } = await loadTerminus();
        return new PgListenerHealthIndicator(listeners, () => indicatorsOf(modules, HealthIndicatorService));
      },
    },
  ],
  exports: [PgListenerHealthIndicator],
})
export class PgListenerTerminusModule {}

/**
 * The one of the application's `TerminusModule`, which may be overridden. By token when it is needed, for the module cannot name
 * an optional peer in its `imports`. Without `TerminusModule`, another one does: it keeps nothing that others would share.
 */
function indicatorsOf(modules: ModuleRef, service: Type<HealthIndicatorService>): HealthIndicatorService {
  try {
    return modules.get(service, { strict: false });
  } catch {
    return new service();
  }
}

async function loadTerminus(): Promise<typeof import('@nestjs/terminus')> {
  try {
    return await import('@nestjs/terminus');
  } catch (error) {
    throw new MissingPeerError('@nestjs/terminus', 'PgListenerTerminusModule', error);
  }
}
