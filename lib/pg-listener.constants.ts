export const DEFAULT_APP_NAME = 'default';

/** Constant, so that two installed copies of the package see each other's handlers. */
export const HANDLERS_METADATA = 'pg-listener:handlers';
