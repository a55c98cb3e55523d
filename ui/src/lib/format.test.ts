import { expect, test } from "vitest";
import {
  axisLabels,
  byUnit,
  bytes,
  clip,
  count,
  duration,
  guessUnit,
  percent,
  perSecond,
  plural,
  shortId,
  spentText,
  sumSpent,
} from "./format";

test.each([
  [0, "0"],
  [999, "999 ns"],
  [1500, "1.5 µs"],
  [2_345_678, "2.35 ms"],
  [12_300_000, "12.3 ms"],
  [1_000_000_000, "1 s"],
  [125e9, "2 m 5 s"],
  [4320e9, "1 h 12 m"],
  [90_000e9, "1 d 1 h"],
  [-5e6, "-5 ms"],
])("duration %d", (ns, want) => expect(duration(ns)).toBe(want));

test("bytes and counts", () => {
  expect(bytes(512)).toBe("512 B");
  expect(bytes(1536)).toBe("1.5 KiB");
  expect(count(1234)).toBe("1,234");
  expect(count(0.00012)).toBe("1.20e-4");
  expect(count(12_345)).toBe("12.3 k");
  expect(count(Number.POSITIVE_INFINITY)).toBe("+Inf");
  expect(percent(0.0001)).toBe("<0.1 %");
  expect(percent(0.256)).toBe("26 %");
  expect(plural(1, "span")).toBe("1 span");
  expect(plural(2000, "span")).toBe("2,000 spans");
});

test.each([
  [0, "0/s"],
  [12_345, "12.3 k/s"],
  [10.06, "10.1/s"],
  [0.9536, "0.95/s"],
  [0.0419, "2.51/min"],
  [5.56e-4, "2/h"],
])("rate %d", (n, want) => expect(perSecond(n)).toBe(want));

test("an axis has one unit", () => {
  expect(axisLabels([0, 0.025, 0.05], "/s")).toEqual(["0/min", "1.5/min", "3/min"]);
  expect(axisLabels([0, 0.05, 0.1], "/s")).toEqual(["0/s", "0.05/s", "0.1/s"]);
  expect(axisLabels([0, 1e-4], "/s")).toEqual(["0/h", "0.36/h"]);
  expect(axisLabels([0.5], "s")).toEqual(["500 ms"]);
});

test("units", () => {
  expect(byUnit(0.25, "s")).toBe("250 ms");
  expect(byUnit(0.5, "1")).toBe("50 %");
  expect(
    guessUnit("histogram_quantile(0.9, sum by (le) (rate(http_server_request_duration_seconds_bucket[5m])))"),
  ).toBe("s");
  expect(guessUnit("sum(rate(http_requests_total[1m]))")).toBe("/s");
  expect(guessUnit("sum(rate(errors_total[1m])) / sum(rate(requests_total[1m]))")).toBe("ratio");
  expect(guessUnit("process_resident_memory_bytes")).toBe("By");
  expect(guessUnit("rate(process_cpu_seconds_total[1m])")).toBeUndefined();
});

test("long things are cut and say so", () => {
  expect(shortId("4bf92f3577b34da6a3ce929d0e0e4736")).toBe("4bf92f35…4736");
  expect(shortId("short")).toBe("short");
  expect(clip("x".repeat(3000), 10)).toBe("xxxxxxxxxx… (2.93 KiB in all)");
});

test("what an answer took and read", () => {
  expect(spentText({ ms: 12 })).toBe("12 ms");
  expect(spentText({ ms: 1500, bytes: 2048, rows: 1, of: "span" })).toBe("1.5 s, read 2 KiB, 1 span");
  expect(spentText(sumSpent([{ ms: 5, rows: 2, of: "sample" }, undefined, { ms: 9, rows: 1, of: "sample" }])!)).toBe(
    "9 ms, read 3 samples",
  );
  expect(sumSpent([undefined])).toBeUndefined();
});
