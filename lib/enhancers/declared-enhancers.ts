import 'reflect-metadata';

/** Nest's metadata keys, the same in 11 and 12, each with the method that an enhancer of the kind has. */
const KINDS = {
  guard: { key: '__guards__', method: 'canActivate' },
  pipe: { key: '__pipes__', method: 'transform' },
  interceptor: { key: '__interceptors__', method: 'intercept' },
  filter: { key: '__exceptionFilters__', method: 'catch' },
} as const;
const PARAMETERS = '__routeArguments__';
/** In the keys of parameters that `createParamDecorator` has made. */
const CUSTOM = '__customRouteArgs__';

export type EnhancerKind = keyof typeof KINDS;

/** One parameter's entry, as Nest keeps it. */
interface ParameterEntry {
  readonly index: number;
}

/** Where a handler is declared. */
export interface HandlerPlace {
  readonly target: Function;
  readonly methodName: string;
  /** As the class declares it: there the decorators have left their marks. */
  readonly declared: object;
}

/** Classes and instances that stand in decorators of the method and its class. */
export function enhancersAt({ target, declared }: HandlerPlace, kind: EnhancerKind): readonly unknown[] {
  const { key } = KINDS[kind];
  return [target, declared].flatMap((each) => (Reflect.getMetadata(key, each) as unknown[] | undefined) ?? []);
}

export function parametersAt({ target, methodName }: HandlerPlace): Readonly<Record<string, ParameterEntry>> {
  return (Reflect.getMetadata(PARAMETERS, target, methodName) as Record<string, ParameterEntry> | undefined) ?? {};
}

export function hasEnhancers(place: HandlerPlace): boolean {
  const kinds = Object.keys(KINDS) as EnhancerKind[];
  return Object.keys(parametersAt(place)).length > 0 || kinds.some((kind) => enhancersAt(place, kind).length > 0);
}

/**
 * What Nest would pass over in silence, and a guard that is passed over is an open door.
 *
 * @param isMade whether Nest has made the enhancer of this class for the handler's module
 */
export function enhancerMistakes(place: HandlerPlace, isMade: (enhancer: Function) => boolean): string[] {
  const mistakes: string[] = [];
  for (const kind of Object.keys(KINDS) as EnhancerKind[]) {
    for (const enhancer of enhancersAt(place, kind)) {
      if (typeof enhancer !== 'function' || isMade(enhancer) || KINDS[kind].method in enhancer) continue;
      mistakes.push(
        `has the ${kind} ${enhancer.name}, which Nest makes only for classes that stand in \`providers\` themselves; ` +
          `provide the handler's class so, or give the decorator an instance of the ${kind}`,
      );
    }
  }
  for (const [key, { index }] of Object.entries(parametersAt(place))) {
    if (index < 2) {
      mistakes.push(`decorates its parameter ${index + 1}: the first two are the change and the context, always`);
    } else if (!key.includes(CUSTOM)) {
      mistakes.push(`decorates its parameter ${index + 1} for a request; use decorators of createParamDecorator`);
    }
  }
  return mistakes;
}

/** A function in the method's place, such as a bound one or a spy, is to be found with what the method is marked with. */
export function copyMarks(from: object, to: object): void {
  if (from === to) return;
  for (const key of Reflect.getMetadataKeys(from) as unknown[]) {
    if (!Reflect.hasMetadata(key, to)) Reflect.defineMetadata(key, Reflect.getMetadata(key, from), to);
  }
}
