import type { CachedRelation, RelationCache } from '../../decoder/relation-cache.js';

/**
 * Who takes a table's rows is kept by its name, for the description that was asked for last. A replay describes tables as
 * they were: each of its descriptions takes the name's place, for subscribers come and go while it is replayed, and at the
 * end the places are those of now again.
 */
export class ReplayedRoutes {
  /** Names whose place another description has taken. */
  private readonly taken = new Set<string>();

  constructor(
    /** What holds for all that is not replayed. */
    private readonly all: RelationCache,
    private readonly route: (relation: CachedRelation) => void,
  ) {}

  /** The replay begins with these. */
  begin(known: RelationCache): void {
    for (const was of known.values()) if (this.all.get(was.relation.id) !== was) this.described(was);
  }

  /** What comes next of the table is read so. */
  described(relation: CachedRelation): void {
    const { interest } = relation;
    this.route(relation);
    // What was described the same way has the same one: nothing has changed places.
    if (relation.interest !== interest) this.taken.add(nameOf(relation));
  }

  /** The replay is over. Of two tables that had a name, one after the other, the one that was described last has it. */
  end(): void {
    if (this.taken.size === 0) return;
    for (const now of this.all.values()) if (this.taken.has(nameOf(now))) this.route(now);
  }
}

function nameOf({ relation: { schema, table } }: CachedRelation): string {
  return `${schema}\0${table}`;
}
