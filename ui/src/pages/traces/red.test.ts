import { expect, test } from "vitest";
import { joinRed } from "./red";

const s = (value: number, labels: Record<string, string>) => ({ value, labels });

test("three answers become rows; absent errors are none, values without spans are left out", () => {
  const rows = joinRed(
    "name",
    [s(10, { name: "a" }), s(4, { name: "b" }), s(0, { name: "c" })],
    [s(1, { name: "a" })],
    [s(0.1, { name: "a", p: "0.5" }), s(0.9, { name: "a", p: "0.99" }), s(0.5, { name: "b", p: "0.95" })],
  );
  expect(rows.map((r) => [r.value, r.rate, r.failed, r.p50, r.p95, r.p99])).toEqual([
    ["a", 10, 0.1, 0.1, Number.NaN, 0.9],
    ["b", 4, 0, Number.NaN, 0.5, Number.NaN],
  ]);
});
