import 'reflect-metadata';
import { Controller, Get, Header, Module, type INestApplication, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { HealthCheckService, TerminusModule } from '@nestjs/terminus';
import { PgListener, PgListenerModule, PgListenerRegistry, type PgListenerOptions } from 'nestjs-pg-listener';
import { PgListenerPrometheusModule } from 'nestjs-pg-listener/prometheus';
import {
  PgListenerHealthIndicator,
  PgListenerTerminusModule,
  type HealthThresholds,
} from 'nestjs-pg-listener/terminus';
import { Registry } from 'prom-client';
import { LogCollector } from './application.js';
import { Scrape } from './prometheus-text.js';

export interface HealthAnswer {
  readonly status: number;
  readonly body: any;
}

/** A Nest application that is looked at over HTTP. */
export interface ObservedApplication {
  readonly app: INestApplication;
  readonly listener: PgListener;
  readonly logs: LogCollector;
  listenerOf(name: string): PgListener;
  scrape(): Promise<Scrape>;
  health(): Promise<HealthAnswer>;
}

interface Observation {
  readonly registry?: Registry;
  readonly degradedAbove?: HealthThresholds;
  readonly durationBuckets?: readonly number[];
}

/** The applications of one test, with `/metrics` and `/health`, closed together. */
export class ObservedApplications {
  private readonly open: INestApplication[] = [];

  async start(
    options: PgListenerOptions | readonly PgListenerOptions[],
    providers: readonly Type[] = [],
    { registry = new Registry(), degradedAbove = {}, durationBuckets }: Observation = {},
  ): Promise<ObservedApplication> {
    const roots = (Array.isArray(options) ? options : [options]) as readonly PgListenerOptions[];
    const names = roots.map(({ name = 'default' }) => name);

    @Controller()
    class Endpoints {
      constructor(
        private readonly health: HealthCheckService,
        private readonly indicator: PgListenerHealthIndicator,
      ) {}

      @Get('metrics')
      @Header('Content-Type', 'text/plain')
      metrics(): Promise<string> {
        return registry.metrics();
      }

      @Get('health')
      check() {
        return this.health.check(names.map((app) => () => this.indicator.check(app, { app, degradedAbove })));
      }
    }

    @Module({
      imports: [
        ...roots.map((each) => PgListenerModule.forRoot(each)),
        TerminusModule,
        PgListenerTerminusModule,
        PgListenerPrometheusModule.forRoot({ registry, durationBuckets }),
      ],
      controllers: [Endpoints],
      providers: [...providers],
    })
    class ObservedModule {}

    const logs = new LogCollector();
    const app = await NestFactory.create(ObservedModule, { logger: logs, abortOnError: false });
    this.open.push(app);
    await app.listen(0, '127.0.0.1');
    const url = await app.getUrl();
    const listeners = app.get(PgListenerRegistry);
    return {
      app,
      logs,
      listener: listeners.get(names[0]),
      listenerOf: (name) => listeners.get(name),
      scrape: async () => {
        const response = await fetch(`${url}/metrics`);
        const text = await response.text();
        if (response.status !== 200) throw new Error(text);
        return new Scrape(text);
      },
      health: async () => {
        const response = await fetch(`${url}/health`);
        return { status: response.status, body: await response.json() };
      },
    };
  }

  async close(): Promise<void> {
    await Promise.all(this.open.splice(0).map((app) => app.close()));
  }
}
