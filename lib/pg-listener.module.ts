import {
  Module,
  type DynamicModule,
  type InjectionToken,
  type ModuleMetadata,
  type OptionalFactoryDependency,
  type Provider,
  type Type,
} from '@nestjs/common';
import { UnknownAppError } from './errors/app.error.js';
import { PgListenerConfigError } from './errors/config.error.js';
import type {
  PgListenerAppOptions,
  PgListenerOptions,
  PgListenerOptionsFactory,
} from './interfaces/pg-listener-options.interface.js';
import type { TableSource } from './interfaces/orm-table.interface.js';
import type { AppName, TableRef } from './interfaces/table.interface.js';
import { PgListenerCoreModule } from './pg-listener-core.module.js';
import { PgListenerAppModule, type AppParts } from './pg-listener-app.module.js';
import { DEFAULT_APP_NAME } from './pg-listener.constants.js';
import type { PgListener } from './pg-listener.js';
import { FeatureRegistry } from './pg-listener.registry.js';
import { isTableSource } from './tables/drizzle-table.js';
import {
  getChangesToken,
  getPgListenerConfigToken,
  getPgListenerToken,
  internalToken,
  optionsToken,
} from './pg-listener.tokens.js';

type FeatureTableOf = string | TableRef<any> | TableSource;

/** Options of `forRootAsync`: `name` and `isGlobal` stand outside of the factory, one of the three makes the rest. */
export interface PgListenerAsyncOptions extends Pick<ModuleMetadata, 'imports'> {
  /** @default 'default' */
  readonly name?: string;
  /** @default true */
  readonly isGlobal?: boolean;
  readonly inject?: (InjectionToken | OptionalFactoryDependency)[];
  readonly useFactory?: (...dependencies: any[]) => PgListenerAppOptions | Promise<PgListenerAppOptions>;
  readonly useClass?: Type<PgListenerOptionsFactory>;
  readonly useExisting?: InjectionToken<PgListenerOptionsFactory>;
}

/**
 * Makes the application a logical-replication client of PostgreSQL.
 *
 * @publicApi
 */
@Module({})
export class PgListenerModule {
  /**
   * Registers an app. Opens nothing: streaming starts when the application has booted.
   *
   * @example
   * PgListenerModule.forRoot({ connection: process.env.DATABASE_URL, slot: 'shop' })
   */
  static forRoot(options: PgListenerOptions): DynamicModule {
    const { name = DEFAULT_APP_NAME, isGlobal = true, ...rest } = options ?? {};
    return root(name, isGlobal, [{ provide: optionsToken(name), useValue: rest }]);
  }

  /**
   * Registers an app whose options come from a factory.
   *
   * @example
   * PgListenerModule.forRootAsync({
   *   inject: [ConfigService],
   *   useFactory: (config: ConfigService) => ({ connection: config.getOrThrow('DATABASE_URL'), slot: 'shop' }),
   * })
   */
  static forRootAsync(options: PgListenerAsyncOptions): DynamicModule {
    const { name = DEFAULT_APP_NAME, isGlobal = true, imports } = options;
    return root(name, isGlobal, asyncOptions(name, options), imports);
  }

  /**
   * Provides an observable for each table (`@InjectChanges`), and the app's `PgListener` and `PgListenerConfig`; adds
   * the tables to what the app listens to. May be imported in any number of modules.
   */
  static forFeature(
    tables: FeatureTableOf | readonly FeatureTableOf[] = [],
    app: AppName = DEFAULT_APP_NAME,
  ): DynamicModule {
    const listed = (Array.isArray(tables) ? tables : [tables]) as readonly FeatureTableOf[];
    const named = listed.map((each) => (typeof each === 'string' || isTableSource(each) ? each : each.name));
    const inject = [FeatureRegistry, { token: internalToken(app), optional: true }];
    const partsOf = (parts: AppParts | undefined): AppParts => {
      if (parts === undefined) throw new UnknownAppError(app, [], 'PgListenerModule.forFeature');
      return parts;
    };
    const providers: Provider[] = [...new Set(named)].map((each) => ({
      provide: getChangesToken(each, { app }),
      // The listener by its own token: a test may have put another one there.
      inject: [FeatureRegistry, getPgListenerToken(app)],
      useFactory: (features: FeatureRegistry, listener: PgListener | undefined) => {
        features.add(app, each);
        return listener?.changes?.(each);
      },
    }));
    providers.push(
      {
        provide: getPgListenerToken(app),
        inject,
        useFactory: (_: unknown, parts?: AppParts) => partsOf(parts).listener,
      },
      {
        provide: getPgListenerConfigToken(app),
        inject,
        useFactory: (_: unknown, parts?: AppParts) => partsOf(parts).config,
      },
    );
    return { module: PgListenerModule, imports: [PgListenerCoreModule], providers, exports: providers.map(tokenOf) };
  }
}

function root(
  name: string,
  isGlobal: boolean,
  options: Provider[],
  imports?: ModuleMetadata['imports'],
): DynamicModule {
  const inject = [internalToken(name)];
  const providers: Provider[] = [
    { provide: getPgListenerToken(name), inject, useFactory: ({ listener }: AppParts) => listener },
    { provide: getPgListenerConfigToken(name), inject, useFactory: ({ config }: AppParts) => config },
  ];
  return {
    module: PgListenerModule,
    global: isGlobal,
    imports: [PgListenerAppModule.register(name, options, imports)],
    providers,
    exports: providers.map(tokenOf),
  };
}

function asyncOptions(name: string, options: PgListenerAsyncOptions): Provider[] {
  const provide = optionsToken(name);
  const { useFactory, useClass, useExisting, inject = [] } = options;
  if (useFactory !== undefined) return [{ provide, inject, useFactory }];
  const factory = useExisting ?? useClass;
  if (factory === undefined) {
    throw new PgListenerConfigError(name, [
      { path: 'forRootAsync', problem: 'has neither useFactory nor useClass nor useExisting; one of them is wanted' },
    ]);
  }
  const made: Provider = {
    provide,
    inject: [factory],
    useFactory: (each: PgListenerOptionsFactory) => each.createPgListenerOptions(name),
  };
  return useExisting === undefined ? [useClass!, made] : [made];
}

function tokenOf(provider: Provider): InjectionToken {
  return (provider as { provide: InjectionToken }).provide;
}
