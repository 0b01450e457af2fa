import type { HandOver } from '../hand-over.js';
import type { HandlerDesk } from '../handler-desk.js';
import { HandlerLanes, type LanePort } from './handler-lanes.js';
import type { HandlerRunner } from '../handler-runner.js';
import type { Route } from '../handler-registry.js';
import type { TransactionHolds } from '../transaction-holds.js';
import type { ChangeWork, Work } from '../work.js';

/** What the lanes of all handlers need of the dispatcher. */
export interface LaneSetPort extends Pick<LanePort, 'rested' | 'givenUp'> {
  /** A lane is done with it. */
  released(work: ChangeWork): void;
}

/** The lanes of all handlers that have some. */
export class LaneSet {
  private lanes: HandlerLanes[] = [];
  /** How each table was described when a change of it was last put into a lane. */
  private readonly routes = new Map<string, Route>();
  private lastRoute: Route | undefined;
  private readonly runners: readonly HandlerRunner[];
  private readonly port: LanePort;

  constructor(
    runners: readonly HandlerRunner[],
    private readonly desk: HandlerDesk,
    holds: TransactionHolds,
    port: LaneSetPort,
  ) {
    this.port = {
      ...port,
      taken: (work) => {
        if (work.route !== this.lastRoute) {
          this.lastRoute = work.route;
          this.routes.set(work.route.key, work.route);
        }
        work.pending++;
        return holds.add(work.change.commitLsn);
      },
      settled: ({ work, hold }) => {
        holds.done(hold);
        port.released(work);
      },
    };
    this.runners = runners.filter(
      ({ definition: { kind, concurrency, batch } }) =>
        kind === 'table' && ((concurrency ?? 1) > 1 || batch !== undefined),
    );
  }

  get isEmpty(): boolean {
    return this.runners.length === 0;
  }

  /** Nothing is taken and not settled. */
  get isIdle(): boolean {
    for (const lane of this.lanes) if (lane.outstanding > 0) return false;
    return true;
  }

  /** One of them has as much to do as it can begin with, and more. */
  get isSaturated(): boolean {
    for (const lane of this.lanes) if (lane.isSaturated) return true;
    return false;
  }

  /** Nothing runs, and nothing can: at the end of a drain. */
  get isResting(): boolean {
    return this.lanes.every((lane) => lane.isResting);
  }

  /** New ones: what was given up must not come back. */
  renew(): void {
    this.lanes = this.runners.map((runner) => {
      const lanes = new HandlerLanes(runner, this.desk, this.port);
      runner.lanes = lanes;
      return lanes;
    });
    this.routes.clear();
    this.lastRoute = undefined;
  }

  /** What has an order with everything that lanes have, whatever handlers gave up. */
  isBarrier(work: Work, handing: HandOver): boolean {
    switch (work.kind) {
      case 'change':
        return work.change.operation === 'truncate' || this.isRedescribed(work.route);
      case 'message':
        return true;
      case 'schema':
        return handing.changesSchema(work);
      case 'commit':
        return handing.isCollecting && !handing.isHandedBefore(work);
      case 'redrive':
        // Arrays come one at a time where no concurrency was asked for.
        return work.runner.lanes !== null && (work.runner.definition.concurrency ?? 1) === 1;
    }
  }

  flush(): void {
    for (const lane of this.lanes) lane.flush();
  }

  drain(): void {
    for (const lane of this.lanes) lane.drain();
  }

  abandon(): void {
    for (const lane of this.lanes) lane.abandon();
  }

  /** The table has been described anew since: its keys may be others now. */
  private isRedescribed(route: Route): boolean {
    if (route === this.lastRoute) return false;
    const known = this.routes.get(route.key);
    return known !== undefined && known !== route;
  }
}
