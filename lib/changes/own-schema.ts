/**
 * The schema of our own tables. It is never delivered, whatever a publication carries: what we write about a change
 * must not come back as a change. (PostgreSQL reserves names that begin with `pg_`: decision 0006.)
 */
export const OWN_SCHEMA = 'nestjs_pg_listener';
