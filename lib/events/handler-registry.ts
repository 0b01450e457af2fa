import { OperationBit, type RowChange, type RowOperation, type Update } from '../changes/change.js';
import { tableKey } from '../changes/transaction.js';
import { TablePattern } from '../changes/table-pattern.js';
import type { RoutedTable, TableRoute } from '../interfaces/transaction-sink.interface.js';
import { ALL_OPERATIONS, operationMask, type ChangeStreams, type ChangeWatch } from './change-streams.js';
import type { HandlerRunner } from './handler-runner.js';

const OPERATIONS = Object.keys(OperationBit) as RowOperation[];

interface TableHandler {
  readonly pattern: TablePattern;
  readonly mask: number;
  readonly runner: HandlerRunner;
}

/** Who takes the changes of one table, resolved once. */
export class Route implements TableRoute {
  mask = 0;
  watches: readonly ChangeWatch[] = [];
  /** Some of its handlers take updates only where certain columns changed. */
  readonly isSelective: boolean;
  /** Its table's name, as maps have it. */
  readonly key: string;

  constructor(
    readonly table: RoutedTable,
    /** By operation, in discovery order. */
    readonly runners: Readonly<Record<RowOperation, readonly HandlerRunner[]>>,
    readonly handledMask: number,
  ) {
    this.key = tableKey(table);
    this.isSelective = runners.update.some(({ definition }) => definition.whenChanged.length > 0);
  }

  runnersOf(change: RowChange): readonly HandlerRunner[] {
    const runners = this.runners[change.operation];
    if (!this.isSelective || change.operation !== 'update') return runners;
    return runners.filter((runner) => concerns(runner, change));
  }
}

/** Whether the handler asked for it. Where the server does not tell what changed, it may be. */
function concerns({ definition: { whenChanged } }: HandlerRunner, { changedColumns }: Update): boolean {
  return (
    whenChanged.length === 0 || changedColumns === null || whenChanged.some((name) => changedColumns.includes(name))
  );
}

/** (table, operation) to handlers; prefix to handlers; the handlers of whole transactions. */
export class HandlerRegistry {
  readonly transactionRunners: readonly HandlerRunner[];
  private readonly messageRunners: readonly HandlerRunner[];
  private readonly tableHandlers: readonly TableHandler[];
  private readonly routes = new Map<string, Route>();

  constructor(
    readonly runners: readonly HandlerRunner[],
    private readonly streams: ChangeStreams,
  ) {
    this.transactionRunners = runners.filter(({ definition }) => definition.kind === 'transaction');
    this.messageRunners = runners.filter(({ definition }) => definition.kind === 'message');
    this.tableHandlers = runners
      .filter(({ definition }) => definition.kind === 'table')
      .map((runner) => ({
        runner,
        pattern: new TablePattern(runner.definition.tables),
        mask: operationMask(runner.definition.operations),
      }));
    streams.onInterest = () => this.routes.forEach((route) => this.refresh(route));
  }

  /** One object for a table, until it is described differently. */
  route(described: RoutedTable): Route {
    const { schema, table, signature } = described;
    const key = tableKey(described);
    let route = this.routes.get(key);
    if (route === undefined || route.table.signature !== signature) {
      const mine = this.tableHandlers.filter(({ pattern }) => pattern.matches(schema, table));
      const runners = Object.fromEntries(
        OPERATIONS.map((operation) => [
          operation,
          mine.filter(({ mask }) => (mask & OperationBit[operation]) !== 0).map(({ runner }) => runner),
        ]),
      ) as Record<RowOperation, HandlerRunner[]>;
      const handled = mine.reduce((mask, each) => mask | each.mask, 0);
      // A handler of whole transactions gets every change of every table that the app hears.
      route = new Route(described, runners, this.transactionRunners.length > 0 ? ALL_OPERATIONS : handled);
      this.routes.set(key, route);
      this.refresh(route);
    }
    return route;
  }

  runnersOfMessage(prefix: string): readonly HandlerRunner[] {
    return this.messageRunners.filter(({ definition }) => definition.prefix === null || definition.prefix === prefix);
  }

  private refresh(route: Route): void {
    route.watches = this.streams.watchesOf(route.table.schema, route.table.table);
    route.mask = route.watches.reduce((mask, watch) => mask | watch.mask, route.handledMask);
  }
}
