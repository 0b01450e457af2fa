import { textOfFloat8 } from './float-text.js';
import { expectSize, int32, malformed, type ReadText } from './value-reader.js';

const POINT = 16;

function coordinate(b: Buffer, at: number): string {
  return textOfFloat8(b.readDoubleBE(at));
}

function point(b: Buffer, at: number): string {
  return `(${coordinate(b, at)},${coordinate(b, at + 8)})`;
}

function points(b: Buffer, at: number, end: number): string {
  if (end - at < 4) malformed('points without their number');
  const count = int32(b, at);
  if (count < 0) malformed(`${count} points`);
  expectSize(at, end, 4 + count * POINT);
  return Array.from({ length: count }, (_, index) => point(b, at + 4 + index * POINT)).join(',');
}

export const pointText: ReadText = (b, start, end) => {
  expectSize(start, end, POINT);
  return point(b, start);
};

export const lsegText: ReadText = (b, start, end) => {
  expectSize(start, end, 2 * POINT);
  return `[${point(b, start)},${point(b, start + POINT)}]`;
};

export const boxText: ReadText = (b, start, end) => {
  expectSize(start, end, 2 * POINT);
  return `${point(b, start)},${point(b, start + POINT)}`;
};

export const lineText: ReadText = (b, start, end) => {
  expectSize(start, end, 24);
  return `{${coordinate(b, start)},${coordinate(b, start + 8)},${coordinate(b, start + 16)}}`;
};

export const circleText: ReadText = (b, start, end) => {
  expectSize(start, end, 24);
  return `<${point(b, start)},${coordinate(b, start + POINT)}>`;
};

export const pathText: ReadText = (b, start, end) => {
  if (start >= end) malformed('an empty path');
  const text = points(b, start + 1, end);
  return b[start] === 0 ? `[${text}]` : `(${text})`;
};

export const polygonText: ReadText = (b, start, end) => `(${points(b, start, end)})`;
