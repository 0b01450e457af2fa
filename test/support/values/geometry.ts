import fc from 'fast-check';
import { numberText } from './numbers.js';
import { values, type Values } from './values.js';

const coordinate = fc.double({ min: -1e100, max: 1e100, noNaN: true }).map(numberText);
const point = fc.tuple(coordinate, coordinate).map(([x, y]) => `(${x},${y})`);
const points = fc.array(point, { minLength: 1, maxLength: 6 }).map((each) => each.join(','));
const two = fc.tuple(point, point).map((each) => each.join(','));
const radius = fc.double({ min: 0, max: 1e100, noNaN: true }).map(numberText);

export const GEOMETRY: Readonly<Record<string, Values>> = {
  point: values(['(0,0)', '(-0,1.5)', '(Infinity,-Infinity)', '(NaN,5e-324)', '(1e308,-1e-300)'], point),
  lseg: values(
    ['[(0,0),(1,1)]', '[(-0,0),(-0,0)]'],
    two.map((each) => `[${each}]`),
  ),
  box: values(['(0,0),(1,1)', '(1,1),(0,0)', '(-1,-2),(-1,-2)'], two),
  path: values(
    ['((0,0),(1,1),(2,0))', '[(0,0),(1,1),(2,0)]', '((0,0))'],
    fc.oneof(
      points.map((each) => `[${each}]`),
      points.map((each) => `(${each})`),
    ),
  ),
  polygon: values(
    ['((0,0),(1,1),(2,0))', '((1.5,-2.5))'],
    points.map((each) => `(${each})`),
  ),
  line: values(
    ['{1,-1,0}', '{0,1,-5}', '{1.5,0,2.5}'],
    fc.tuple(coordinate, coordinate).map(([slope, offset]) => `{${slope},-1,${offset}}`),
  ),
  circle: values(
    ['<(0,0),0>', '<(1.5,-2.5),3>', '<(-0,0),1e-300>'],
    fc.tuple(point, radius).map(([centre, radius]) => `<${centre},${radius}>`),
  ),
};
