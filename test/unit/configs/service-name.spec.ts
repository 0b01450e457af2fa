import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { serviceName } from '#lib/configs/service-name.js';

describe('the name of the service', () => {
  let root: string;
  const packageIn = (folder: string, content: string): void => {
    mkdirSync(join(root, folder), { recursive: true });
    writeFileSync(join(root, folder, 'package.json'), content);
  };
  const name = (script: string | undefined, cwd = 'elsewhere'): string | null =>
    serviceName({ script: script === undefined ? undefined : join(root, script), cwd: join(root, cwd) });

  beforeEach(() => {
    root = realpathSync(mkdtempSync(join(tmpdir(), 'service-name-')));
    packageIn('shop', '{ "name": "shop" }');
    mkdirSync(join(root, 'shop/dist/apps'), { recursive: true });
    mkdirSync(join(root, 'elsewhere'));
  });
  afterEach(() => rmSync(root, { recursive: true }));

  it('is that of the package that the script lies in', () => {
    writeFileSync(join(root, 'shop/dist/apps/main.js'), '');
    expect(name('shop/dist/apps/main.js')).toBe('shop');
  });

  it('is found beyond a package.json that has none, or is none', () => {
    packageIn('shop/dist', '{ "type": "commonjs" }');
    packageIn('shop/dist/apps', 'not JSON');
    expect(name('shop/dist/apps/main.js')).toBe('shop');
  });

  it('is that of the current folder where the script is a tool, or there is none', () => {
    packageIn('shop/node_modules/jest', '{ "name": "jest" }');
    expect(name('shop/node_modules/jest/bin/jest.js', 'shop/dist')).toBe('shop');
    expect(name(undefined, 'shop/dist')).toBe('shop');
  });

  it('is not that of a link in node_modules/.bin, but of what runs', () => {
    packageIn('shop/node_modules/nest', '{ "name": "nest" }');
    mkdirSync(join(root, 'bin'));
    writeFileSync(join(root, 'shop/node_modules/nest/cli.js'), '');
    symlinkSync(join(root, 'shop/node_modules/nest/cli.js'), join(root, 'bin/nest'));
    packageIn('bin', '{ "name": "wrong" }');
    expect(name('bin/nest', 'shop')).toBe('shop');
  });

  it('is null where there is no package at all, and where the current folder is gone', () => {
    expect(name('elsewhere/main.js')).toBeNull();
    expect(name(undefined, 'gone')).toBeNull();
  });
});
