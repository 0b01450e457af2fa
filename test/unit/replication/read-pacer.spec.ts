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

  it('lets some reads pass after a pause that brought little', () => {
    pacer.afterRead(4_000, 50);
    jest.advanceTimersByTime(1);
    for (let index = 0; index < 32; index++) pacer.afterRead(4_000, 50);
    expect(pauses).toBe(1);
    pacer.afterRead(4_000, 50);
    expect(pauses).toBe(2);
  });
});

describe('reading without a pause', () => {
  it.each([
    ['caught up', { remoteFamily: 'IPv4' }, 4],
    ['of unknown lag', { remoteFamily: 'IPv4' }, 0],
    ['with a clock that is off', { remoteFamily: 'IPv4' }, -5_000],
    ['over TLS, where each record is a read', { remoteFamily: 'IPv4', encrypted: true }, 5_000],
    ['over a Unix socket, whose buffer is small', { remoteFamily: undefined }, 5_000],
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
