import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { parseRecording, StreamRecording } from '#lib/testing/stream-recording.js';
import { readRecording, TestingError } from 'nestjs-pg-listener/testing';

const HEADER = { serverVersion: 180_004, values: 'text', primaryKeys: [], types: [], typeNames: {} } as const;

describe('the file of a recording', () => {
  const folder = mkdtempSync(join(tmpdir(), 'pg-listener-recording-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  const recording = new StreamRecording(HEADER, [{ lsn: 0x1_0000_00ffn, bytes: Buffer.from('Bytes\0\xff', 'latin1') }]);

  it('is read as it was written', () => {
    const read = parseRecording(recording.toString());
    expect(read.header).toEqual(HEADER);
    expect(read.messages).toEqual(recording.messages);
    expect(recording.toString().split('\n')).toEqual([
      '{"format":"nestjs-pg-listener recording","version":1,"serverVersion":180004,"values":"text","primaryKeys":[],"types":[],"typeNames":{}}',
      '["1/FF","Qnl0ZXMA/w=="]',
      '',
    ]);
  });

  it.each([
    ['another file', '{"name":"nestjs-pg-listener"}', 'is no recording of a stream'],
    ['no JSON', 'secret text', 'line 1 is broken (SyntaxError)'],
    ['a later version', recording.toString().replace('"version":1', '"version":2'), 'version 2, and only 1 is known'],
    ['a message that was cut', `${recording.toString()}["1/F`, 'line 3 is broken (SyntaxError)'],
    ['a message without a position', `${recording.toString()}["somewhere","secret"]`, 'line 3 is broken (RangeError)'],
    ['a line that is no message', `${recording.toString()}7`, 'line 3 is broken'],
  ])('is refused where it is %s, without quoting it', (_name, text, problem) => {
    const path = join(folder, 'recording.jsonl');
    writeFileSync(path, text);
    const read = (): unknown => readRecording(path);
    expect(read).toThrow(TestingError);
    expect(read).toThrow(problem);
    expect(read).not.toThrow('secret');
  });
});
