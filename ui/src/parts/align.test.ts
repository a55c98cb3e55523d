import { expect, test } from "vitest";
import { align, stack, type Columns } from "./align";

const line = (points: [number, number][]) => ({ name: "x", color: "red", points });

test("series share one axis, holes are null", () => {
  expect(
    align([
      line([
        [1000, 1],
        [2000, 2],
      ]),
      line([
        [2000, 5],
        [3000, Number.NaN],
      ]),
    ]),
  ).toEqual([
    [1, 2, 3],
    [1, 2, null],
    [null, 5, null],
  ]);
});

test("a gap breaks the line", () => {
  expect(
    align(
      [
        line([
          [0, 1],
          [5000, 2],
        ]),
      ],
      1000,
    ),
  ).toEqual([
    [0, 1, 5],
    [1, null, 2],
  ]);
});

test("stacking sums from the last up and skips hidden series", () => {
  const data = align([line([[0, 1]]), line([[0, 2]]), line([[0, 4]])]);
  expect(stack(data, new Set())).toEqual([[0], [7], [6], [4]]);
  expect(stack(data, new Set([1]))).toEqual([[0], [5], [null], [4]]);
});

test("a series apart is no part of the sum", () => {
  const data: Columns = [[1], [1], [2], [10]];
  expect(stack(data, new Set(), new Set([2]))).toEqual([[1], [3], [2], [10]]);
});
