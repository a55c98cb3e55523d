import { expect, test } from "vitest";
import { spread, toDots, valueAt } from "./dots";
import { dotsOf, pointsOf } from "./use-metrics";

const line = {
  name: "",
  color: "",
  points: [
    [10, 1],
    [20, 2],
    [30, 3],
  ] as const,
};

test("valueAt is the last value before", () => {
  expect([5, 10, 25, 99].map((t) => valueAt(line, t))).toEqual([undefined, 1, 2, 3]);
});

test("a dot of another scale stands on the line and keeps its value", () => {
  const dot = { ms: 25, value: 0.4, id: "t", labels: { a: "b" } };
  expect(toDots([dot], [line], "/s")).toEqual([{ ...dot, value: 2, labels: { value: "0.4", a: "b" } }]);
  expect(toDots([dot], [line], "s")).toEqual([dot]);
});

test("exemplars name their request whatever the label is called", () => {
  expect(
    dotsOf([{ seriesLabels: { job: "a" }, exemplars: [{ labels: { traceID: "x" }, value: "1.5", timestamp: 2 }] }]),
  ).toEqual([{ ms: 2000, value: 1.5, id: "x", labels: { traceID: "x", job: "a" } }]);
});

test("native histograms draw their mean", () => {
  expect(pointsOf({ histograms: [[1, { count: "4", sum: "2" }]] })).toEqual([[1000, 0.5]]);
});

test("many dots are spread over their time, the extremes of each moment kept", () => {
  const dots = Array.from({ length: 1000 }, (_, i) => ({ ms: i, value: i % 100, id: String(i), labels: {} }));
  const some = spread(dots, 20);
  expect(some).toHaveLength(20);
  expect(new Set(some.map((d) => Math.floor(d.ms / 100))).size).toBe(10);
  expect(some.some((d) => d.value === 99) && some.some((d) => d.value === 0)).toBe(true);
});
