import 'reflect-metadata';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import { OnLogicalMessage, OnTableChange, type Change, type LogicalMessage } from 'nestjs-pg-listener';
import { parseRecording, StreamRecording } from '#lib/testing/stream-recording.js';
import { readRecording, TestingError } from 'nestjs-pg-listener/testing';
import { TestingModules } from './boot.js';

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
    ['a header without types', recording.toString().replace('"types":[],', ''), 'line 1 is broken'],
    ['of values in no known format', recording.toString().replace('"text"', '"secret"'), 'line 1 is broken'],
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

/** What was recorded once must be read for as long as the format is of version 1. */
describe('recordings of earlier days', () => {
  const modules = new TestingModules();
  afterEach(() => modules.close());

  it.each(['postgresql-14', 'postgresql-18-binary-in-parts'])('are replayed: %s', async (name) => {
    const seen: object[] = [];
    @Injectable()
    class Orders {
      @OnTableChange('orders')
      onChange(change: Change): void {
        seen.push(change.toJSON());
      }
      @OnLogicalMessage('outbox')
      onMessage({ text }: LogicalMessage): void {
        seen.push({ text });
      }
    }
    const listener = await modules.boot([Orders]);
    await listener.replay(readRecording(`test/fixtures/recordings/${name}.jsonl`));
    const first = { id: 1, at: '2026-01-02T03:04:05.678Z', total: '12.50', feeling: 'happy', body: { a: [1, null] } };
    const second = { id: 2, at: null, total: null, feeling: null, body: null };
    expect(JSON.parse(JSON.stringify(seen))).toMatchObject([
      { operation: 'insert', record: first },
      { operation: 'insert', record: second },
      { operation: 'update', record: { ...first, feeling: 'sad' }, oldRecord: first, changedColumns: ['feeling'] },
      { text: 'order 1' },
      { operation: 'delete', oldRecord: second },
      { operation: 'truncate', table: 'orders' },
    ]);
  });
});
