import { Injectable } from '@nestjs/common';
import { AppRegistry } from './configs/registry.js';
import type { PgListenerConfig } from './configs/pg-listener-config.js';
import { LifecycleError } from './errors/app.error.js';
import type { PgListener } from './pg-listener.js';
import type { FeatureTable } from './pg-listener.subscriptions.js';

/** The listeners of this application by app name. @publicApi */
@Injectable()
export class PgListenerRegistry extends AppRegistry<PgListener> {}

/** The configurations of this application by app name. @internal */
@Injectable()
export class PgListenerConfigRegistry extends AppRegistry<PgListenerConfig> {}

/** Tables that `forFeature` modules name, by app. @internal */
@Injectable()
export class FeatureRegistry {
  private readonly tables = new Map<string, Map<string, FeatureTable>>();
  private isSealed = false;

  /** Idempotent: ten modules may ask for one table. @throws LifecycleError after the application has initialised */
  add(app: string, name: string): void {
    if (this.isSealed) {
      throw new LifecycleError('PgListenerModule.forFeature was loaded lazily, after the application had initialised', {
        app,
        hint: 'Nest runs no lifecycle hooks for lazy modules: import it in a module that is loaded at boot.',
      });
    }
    const ofApp = this.tables.get(app) ?? new Map<string, FeatureTable>();
    ofApp.set(name, { name, source: 'PgListenerModule.forFeature' });
    this.tables.set(app, ofApp);
  }

  of(app: string): FeatureTable[] {
    return [...(this.tables.get(app)?.values() ?? [])];
  }

  seal(): void {
    this.isSealed = true;
  }
}
