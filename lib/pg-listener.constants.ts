export const DEFAULT_APP_NAME = 'default';

/** Constant, so that two installed copies of the package see each other's handlers. */
export const HANDLERS_METADATA = 'pg-listener:handlers';
/** On the prototype: names of its decorated methods, also where another decorator has put its own function there. */
export const DECORATED_METADATA = 'pg-listener:decorated';
