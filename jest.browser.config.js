import base from './jest.config.js';

const { globalTeardown: _, ...shared } = base;

/** The sample's page in a real browser. Each spec has a server of its own: the sample's slot has one name. */
export default {
  ...shared,
  testMatch: ['**/*.browser-spec.js'],
  globalSetup: '<rootDir>/build/test/support/browser-global-setup.js',
  testTimeout: 60_000,
};
