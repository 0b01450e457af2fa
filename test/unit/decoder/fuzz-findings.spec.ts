import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { readFindings, replay } from '../../fuzz/finding-file.js';
import { packageRoot } from '../package-root.js';

/** What `npm run test:fuzz` has found, and kept as it was. One that hangs again holds up the whole run. */
describe('what fuzzing has found', () => {
  it.each(readFindings(join(packageRoot(), 'test/fixtures/fuzz')))('$file: $what', (finding) => {
    expect(replay(finding)).toMatch(/^(\d+|sequence) /);
  });
});
