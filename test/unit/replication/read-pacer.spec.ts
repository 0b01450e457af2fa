import type { Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { ReadPacer } from '#lib/replication/read-pacer.js';

let pauses = 0;
let resumes = 0;
let pacer: ReadPacer;

function pacerOn(socket: object): void {
  const pausing = { ...socket, pause: () => pauses++ } as unknown as Socket;
  pacer = new ReadPacer(pausing, () => resumes++);
}

beforeEach(() => {
  jest.useFakeTimers();
  pauses = resumes = 0;
  pacerOn({ remoteFamily: 'IPv4' });
});
afterEach(() => {
  pacer.close();
  jest.useRealTimers();
});

describe('reading while behind', () => {
  it('pauses for a millisecond, so that the kernel collects', () => {
    pacer.afterRead(4_000, 50);
    expect({ pauses, resumes }).toEqual({ pauses: 1, resumes: 0 });
    jest.advanceTimersByTime(1);
    expect({ pauses, resumes }).toEqual({ pauses: 1, resumes: 1 });
  });

  it('begins where a change was sent five milliseconds after its commit', () => {
    pacer.afterRead(4_000, 4.9);
    expect(pauses).toBe(0);
    pacer.afterRead(4_000, 5);
    expect(pauses).toBe(1);
  });

  it('goes on pausing where a pause was worth it', () => {
    for (let index = 0; index < 10; index++) {
      pacer.afterRead(30_000, 50);
      jest.advanceTimersByTime(1);
    }
    expect({ pauses, resumes }).toEqual({ pauses: 10, resumes: 10 });
  });

  it('does not pause after a read that was full anyway', () => {
    pacer.afterRead(65_536, 50);
    expect(pauses).toBe(0);
  });

  it('goes on pausing for the small chunks that came before the socket stopped reading', () => {
    for (let index = 0; index < 10; index++) {
      pacer.afterRead(100, 50);
      jest.advanceTimersByTime(1);
    }
    expect({ pauses, resumes }).toEqual({ pauses: 10, resumes: 10 });
  });

  it('tells whether it has paused', () => {
    expect([pacer.afterRead(4_000, 50), pacer.afterRead(65_536, 50), pacer.afterRead(4_000, 4)]).toEqual([
      true,
      false,
      false,
    ]);
  });
});

describe('reading while behind over TLS, where each record is a read', () => {
  beforeEach(() => pacerOn({ remoteFamily: 'IPv4', encrypted: true }));

  it('pauses for five milliseconds when the event loop has handed over all that it had', () => {
    for (let index = 0; index < 100; index++) pacer.afterRead(120, 50);
    expect(pauses).toBe(0);
    jest.runOnlyPendingTimers();
    jest.advanceTimersByTime(4);
    expect({ pauses, resumes }).toEqual({ pauses: 1, resumes: 0 });
    jest.advanceTimersByTime(1);
    expect({ pauses, resumes }).toEqual({ pauses: 1, resumes: 1 });
  });

  it('does not pause where the loop has brought as much as a full read, or a pause little', () => {
    for (let index = 0; index < 600; index++) pacer.afterRead(120, 50);
    jest.advanceTimersByTime(1);
    expect(pauses).toBe(0);
    pacer.afterRead(120, 50);
    jest.advanceTimersByTime(6);
    expect({ pauses, resumes }).toEqual({ pauses: 1, resumes: 1 });
    for (let index = 0; index < 32; index++) {
      pacer.afterRead(120, 50);
      jest.advanceTimersByTime(6);
    }
    expect(pauses).toBe(1);
  });
});

describe('reading while behind over a Unix socket, whose buffer is small', () => {
  beforeEach(() => pacerOn({ remoteFamily: undefined }));

  it('pauses for a turn of the event loop', () => {
    pacer.afterRead(3_000, 50);
    expect({ pauses, resumes }).toEqual({ pauses: 1, resumes: 0 });
    jest.advanceTimersByTime(0);
    expect({ pauses, resumes }).toEqual({ pauses: 1, resumes: 1 });
  });

  it('lets some reads pass after a pause that brought little', () => {
    pacer.afterRead(400, 50);
    jest.advanceTimersByTime(0);
    for (let index = 0; index < 32; index++) pacer.afterRead(400, 50);
    expect(pauses).toBe(1);
    pacer.afterRead(400, 50);
    expect(pauses).toBe(2);
  });
});

describe('reading without a pause', () => {
  it.each([
    ['caught up', { remoteFamily: 'IPv4' }, 4],
    ['of unknown lag', { remoteFamily: 'IPv4' }, 0],
    ['with a clock that is off', { remoteFamily: 'IPv4' }, -5_000],
    ['caught up over TLS', { remoteFamily: 'IPv4', encrypted: true }, 4],
    ['caught up over a Unix socket', { remoteFamily: undefined }, 4],
  ])('%s', (_name, socket, lagMs) => {
    pacerOn(socket);
    for (let index = 0; index < 100; index++) pacer.afterRead(4_000, lagMs);
    expect(pauses).toBe(0);
  });

  it('does not resume once it is closed', () => {
    pacer.afterRead(4_000, 50);
    pacer.close();
    jest.advanceTimersByTime(100);
    expect(resumes).toBe(0);
    expect(jest.getTimerCount()).toBe(0);
  });
});
