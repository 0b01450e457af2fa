import { describe, expect, it } from '@jest/globals';
import { FormatChoice } from '#lib/replication/format-choice.js';

function choiceOf(isBinary: boolean): { choice: FormatChoice; lines: string[] } {
  const lines: string[] = [];
  const logger = { log: () => undefined, error: () => undefined, warn: (line: string) => void lines.push(line) };
  return { choice: new FormatChoice(isBinary, logger), lines };
}

describe('FormatChoice', () => {
  it('is what was asked for', () => {
    expect(choiceOf(true).choice.current).toBe('binary');
    expect(choiceOf(false).choice.current).toBe('text');
  });

  it('falls back once, in one line, and for good', () => {
    const { choice, lines } = choiceOf(true);
    choice.fallBack('public.things, column "a" of type money: its text depends on the session');
    choice.fallBack('another');
    expect(choice.current).toBe('text');
    expect(lines).toEqual([
      'Values come as text from here on, not in the binary format: public.things, column "a" of type money: its text depends on the session',
    ]);
  });

  it('says nothing where text was asked for', () => {
    const { choice, lines } = choiceOf(false);
    choice.fallBack('the connection asks for DateStyle = German');
    expect(lines).toEqual([]);
  });
});
