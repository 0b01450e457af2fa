import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hasEnded, startChild, type Child } from '../../faults/child-process.js';
import type { ChildOptions } from '../../faults/handlers.js';

/** Ends with the code that it is sent. */
const SCRIPT = `process.on('message', (code) => process.exit(code)); process.send({ state: 'streaming' });`;

describe('a process of the faults run', () => {
  let directory: string;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'pg-listener-child-'));
    writeFileSync(join(directory, 'child.cjs'), SCRIPT);
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  /** @returns the crashes that were told of */
  async function crashesOf(
    asked: Child['asked'],
    end: number | NodeJS.Signals,
    more: Partial<ChildOptions> = {},
  ): Promise<number> {
    const crashes: string[] = [];
    const options = { url: '', slot: '', directory, name: 'journal-001', ...more };
    const subject = { script: join(directory, 'child.cjs'), handlers: [], seesWhole: false };
    const child = startChild(subject, options, (what) => crashes.push(what));
    await new Promise((done) => child.process.once('message', done));
    expect(hasEnded(child)).toBe(false);
    child.asked = asked;
    if (typeof end === 'number') child.process.send(end);
    else child.process.kill(end);
    await child.exited;
    expect(hasEnded(child)).toBe(true);
    return crashes.length;
  }

  it('ends as it was asked to', async () => {
    expect(await crashesOf('to stop', 0)).toBe(0);
    expect(await crashesOf('to die', 'SIGKILL')).toBe(0);
    expect(await crashesOf('nothing', 'SIGKILL', { dieAfterCommits: 1 })).toBe(0);
  });

  it('has crashed where it ends in any other way', async () => {
    expect(await crashesOf('nothing', 0)).toBe(1);
    expect(await crashesOf('nothing', 1)).toBe(1);
    expect(await crashesOf('nothing', 'SIGKILL')).toBe(1);
    expect(await crashesOf('to stop', 1)).toBe(1);
    expect(await crashesOf('to stop', 'SIGKILL')).toBe(1);
    expect(await crashesOf('to die', 1)).toBe(1);
    expect(await crashesOf('nothing', 1, { dieAfterCommits: 1 })).toBe(1);
  });
});
