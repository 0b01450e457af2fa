import { describe } from '@jest/globals';
import { WAYS } from '../../support/oracles/mirror.js';
import { postgresCases } from '../../support/oracles/postgres-cases.js';

describe('as subscriptions of PostgreSQL have it', () => postgresCases(WAYS.filter(({ streaming }) => !streaming)));
