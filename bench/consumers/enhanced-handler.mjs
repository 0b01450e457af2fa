import 'reflect-metadata';
import { Module, UseGuards, UseInterceptors, UsePipes } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { PgListenerExplorer } from '../../dist/pg-listener.explorer.js';
import { PgListenerConfigRegistry } from '../../dist/pg-listener.registry.js';
import { OnTableChange, PgListenerModule } from '../../dist/index.js';

class Guard {
  canActivate() {
    return true;
  }
}
class Interceptor {
  intercept(_context, next) {
    return next.handle();
  }
}
class Pipe {
  transform(value) {
    return value;
  }
}

/** What may stand around a handler. */
export const ENHANCERS = {
  guard: () => UseGuards(new Guard()),
  interceptor: () => UseInterceptors(new Interceptor()),
  pipe: () => UsePipes(new Pipe()),
};

/**
 * A handler as an application has it.
 *
 * @param enhancers names of `ENHANCERS`
 * @returns what the package calls for each change
 */
export async function enhancedHandler(read, enhancers, options) {
  class Orders {
    onChange(change) {
      read(change);
    }
  }
  const decorators = [...enhancers.map((name) => ENHANCERS[name]()), OnTableChange('orders', undefined, options)];
  const descriptor = Object.getOwnPropertyDescriptor(Orders.prototype, 'onChange');
  for (const decorate of decorators) decorate(Orders.prototype, 'onChange', descriptor);
  class App {}
  Module({
    imports: [PgListenerModule.forRoot({ enabled: false, slot: 'bench' })],
    providers: [Orders],
  })(App);
  const application = await NestFactory.createApplicationContext(App, { logger: false, abortOnError: false });
  const config = application.get(PgListenerConfigRegistry, { strict: false }).get('default');
  const explorer = application.get(PgListenerExplorer, { strict: false });
  const [{ callback, instance }] = explorer.explore(new Map([['default', config]])).enabled;
  return callback.bind(instance);
}
