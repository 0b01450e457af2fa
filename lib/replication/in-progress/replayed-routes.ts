import type { CachedRelation, RelationCache } from '../../decoder/relation-cache.js';

/**
 * Routes follow handlers and subscribers by the description that was asked for last: by one that is out of date while it is
 * replayed, and by that of now before and after.
 */
export function routeAnew(
  replayed: RelationCache,
  all: RelationCache,
  route: (was: CachedRelation, now: CachedRelation) => void,
): void {
  for (const was of replayed.values()) {
    const now = all.get(was.relation.id);
    if (now !== undefined && now !== was) route(was, now);
  }
}
