import { Module } from '@nestjs/common';
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
      inject: [PgListenerRegistry],
      useFactory: async (listeners: PgListenerRegistry): Promise<PgListenerHealthIndicator> => {
        const { HealthIndicatorService } = await loadTerminus();
        // It keeps nothing that others would share.
        return new PgListenerHealthIndicator(listeners, new HealthIndicatorService());
      },
    },
  ],
  exports: [PgListenerHealthIndicator],
})
export class PgListenerTerminusModule {}

async function loadTerminus(): Promise<typeof import('@nestjs/terminus')> {
  try {
    return await import('@nestjs/terminus');
  } catch (error) {
    throw new MissingPeerError('@nestjs/terminus', 'PgListenerTerminusModule', error);
  }
}
