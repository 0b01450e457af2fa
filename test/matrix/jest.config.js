import base from '../../jest.config.js';

/** As ever, but the servers that specs start by themselves are of the run's version too. */
export default {
  ...base,
  rootDir: '../..',
  // Specs wait more than they compute: three at once keep two cores busy.
  maxWorkers: 3,
  moduleNameMapper: { '^nestjs-pg-listener/testing$': '<rootDir>/build/test/support/versioned-postgres.js' },
};
