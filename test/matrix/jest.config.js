import base from '../../jest.config.js';

/** As ever, but the servers that specs start by themselves are of the run's version too. */
export default {
  ...base,
  rootDir: '../..',
  moduleNameMapper: { '^nestjs-pg-listener/testing$': '<rootDir>/build/test/support/versioned-postgres.js' },
};
