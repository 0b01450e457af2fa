import { Global, Module } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { HandlerEnhancers } from './enhancers/handler-enhancers.js';
import { PgListenerExplorer } from './pg-listener.explorer.js';
import { PgListenerOrchestrator } from './pg-listener.orchestrator.js';
import { FeatureRegistry, PgListenerConfigRegistry, PgListenerRegistry } from './pg-listener.registry.js';

/** Once in an application, however many apps it has: discovery, the registries, and the orchestrator. @internal */
@Global()
@Module({
  imports: [DiscoveryModule],
  providers: [
    PgListenerRegistry,
    PgListenerConfigRegistry,
    FeatureRegistry,
    HandlerEnhancers,
    PgListenerExplorer,
    PgListenerOrchestrator,
  ],
  exports: [PgListenerRegistry, PgListenerConfigRegistry, FeatureRegistry],
})
export class PgListenerCoreModule {}
