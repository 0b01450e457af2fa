import { describe, expect, it } from '@jest/globals';
import { spillFault } from '#lib/errors/spill-fault.js';

const hintOf = (cause: unknown): string =>
  spillFault({ app: 'a', what: 'Kept in /tmp', cause, roomFor: 'all', instead: 'raise it', comesAgain: 'it comes' })
    .hint!;
const systemError = (code: string): Error => Object.assign(new Error('it failed'), { code });

describe('what does not go to the disk', () => {
  it.each(['ENOSPC', 'EACCES', 'ENOENT'])('for %s is told to need another folder', (code) => {
    expect(hintOf(systemError(code))).toBe(
      'set TMPDIR to a folder that this process may write to, with room for all; or raise it. Nothing is lost: it comes.',
    );
  });

  it.each([
    ['EMFILE', /^this process has as many files .*`ulimit -n`; LimitNOFILE=.*; or raise it\. Nothing is lost/],
    ['ENFILE', /^the whole system has as many files .*`sysctl fs\.file-max`\); or raise it\. Nothing is lost/],
  ])('for %s is told to need more open files, and not room', (code, hint) => {
    expect(hintOf(systemError(code))).toMatch(hint);
    expect(hintOf(systemError(code))).not.toContain('TMPDIR');
  });

  it('says the code of the system, or what was found', () => {
    const messageOf = (cause: unknown): string =>
      spillFault({ app: 'default', what: 'Kept', cause, roomFor: '', instead: '', comesAgain: '' }).message;
    expect(messageOf(systemError('EIO'))).toMatch(/^Kept: EIO\n/);
    expect(messageOf(new Error('the file ends'))).toMatch(/^Kept: the file ends\n/);
  });
});
