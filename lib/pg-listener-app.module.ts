import { Module, type DynamicModule, type ModuleMetadata, type Provider } from '@nestjs/common';
import { resolveConfig } from './configs/config.resolver.js';
import type { PgListenerConfig } from './configs/pg-listener-config.js';
import { PgListenerCoreModule } from './pg-listener-core.module.js';
import { PgListenerConfigRegistry, PgListenerRegistry } from './pg-listener.registry.js';
import { internalToken, optionsToken } from './pg-listener.tokens.js';
import { PgListener } from './pg-listener.js';

/** What an app consists of, for those who inject it. @internal */
export interface AppParts {
  readonly config: PgListenerConfig;
  readonly listener: PgListener;
}

/**
 * Holds the parts of one app under an internal token that is visible everywhere, so that `forFeature` can hand them
 * out where `isGlobal` is false.
 *
 * @internal
 */
@Module({})
export class PgListenerAppModule {
  static register(name: string, options: Provider[], imports: ModuleMetadata['imports'] = []): DynamicModule {
    return {
      module: PgListenerAppModule,
      global: true,
      imports: [PgListenerCoreModule, ...imports],
      providers: [
        ...options,
        {
          provide: internalToken(name),
          inject: [optionsToken(name), PgListenerConfigRegistry, PgListenerRegistry],
          useFactory: (given: unknown, configs: PgListenerConfigRegistry, listeners: PgListenerRegistry): AppParts => {
            const config = resolveConfig(name, given);
            const listener = new PgListener(config);
            configs.register(name, config);
            listeners.register(name, listener);
            return { config, listener };
          },
        },
      ],
      exports: [internalToken(name)],
    };
  }
}
