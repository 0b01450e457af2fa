import { Injectable } from '@nestjs/common';
import { AppRegistry } from './configs/registry.js';
import type { PgListenerConfig } from './configs/pg-listener-config.js';
import { LifecycleError } from './errors/app.error.js';
import type { PgListener } from './pg-listener.js';
import type { TableSource } from './interfaces/orm-table.interface.js';
import type { FeatureTable } from './pg-listener.subscriptions.js';
import type { TableResolver } from './tables/table-resolver.js';

/** The listeners of this application by app name. @publicApi */
@Injectable()
export class PgListenerRegistry extends AppRegistry<PgListener> {}

/** The configurations of this application by app name. @internal */
@Injectable()
export class PgListenerConfigRegistry extends AppRegistry<PgListenerConfig> {}

/** Tables that `forFeature` modules name, by app. @internal */
@Injectable()
export class FeatureRegistry {
  private readonly tables = new Map<string, Set<string | TableSource>>();
  private isSealed = false;

  /** Idempotent: ten modules may ask for one table. @throws LifecycleError after the application has initialised */
  add(app: string, table: string | TableSource): void {
    if (this.isSealed) {
      throw new LifecycleError('PgListenerModule.forFeature was loaded lazily, after the application had initialised', {
        app,
        hint: 'Nest runs no lifecycle hooks for lazy modules: import it in a module that is loaded at boot.',
      });
    }
    const ofApp = this.tables.get(app) ?? new Set<string | TableSource>();
    ofApp.add(table);
    this.tables.set(app, ofApp);
  }

  /** @throws TableSourceError */
  of(app: string, resolver: TableResolver): FeatureTable[] {
    const names = [...(this.tables.get(app) ?? [])].map((each) =>
      typeof each === 'string' ? each : resolver.resolve(each).name,
    );
    return [...new Set(names)].map((name) => ({ name, source: 'PgListenerModule.forFeature' }));
  }

  seal(): void {
    this.isSealed = true;
  }
}
