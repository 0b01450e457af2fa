import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Patience } from '#lib/replication/patience.js';
import { turns } from '../waiting.js';

let isWaiting = true;
let reads = 0;
let now = 0;
let patience: Patience;

beforeEach(() => {
  isWaiting = true;
  reads = 0;
  now = 1_000;
  jest.spyOn(Date, 'now').mockImplementation(() => now);
  patience = new Patience(
    () => isWaiting,
    () => reads++,
  );
  patience.chunk();
});
afterEach(() => {
  patience.close();
  jest.restoreAllMocks();
});

describe('the rest of a chunk', () => {
  it('waits while each turn of the event loop finds something else in hand', async () => {
    for (let turn = 0; turn < 20; turn++) {
      expect(patience.suffices()).toBe(true);
      patience.gotOn();
      await turns(1);
    }
    expect(reads).toBe(0);
  });

  it('is read after a turn that has brought nothing, and nothing waits again before something is done', async () => {
    patience.suffices();
    await turns(2);
    expect(reads).toBe(1);
    expect(patience.suffices()).toBe(false);
    patience.gotOn();
    expect(patience.suffices()).toBe(true);
  });

  it('is read after a tenth of a second, however things get on: keepalives may be in it', async () => {
    for (let turn = 0; turn < 10; turn++) {
      patience.suffices();
      patience.gotOn();
      now += 15;
      await turns(1);
      if (now - 1_000 < 100) expect(reads).toBe(0);
    }
    expect(reads).toBeGreaterThan(0);
  });

  it('is not read where there is none', async () => {
    patience.suffices();
    isWaiting = false;
    await turns(3);
    patience.lose();
    expect(reads).toBe(0);
    expect(patience.suffices()).toBe(true);
  });

  it('is not read any more once it is closed', async () => {
    patience.suffices();
    patience.close();
    await turns(3);
    expect(reads).toBe(0);
  });
});
