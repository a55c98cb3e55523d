import { expect, test } from "vitest";
import { levelOf, type LogLine, toLines } from "@/api/loki";
import { nextPage, toStacks } from "./use-logs";

const line = (ns: string, text: string): LogLine => ({
  key: ns,
  ns,
  ms: 0,
  line: text,
  level: "info",
  service: "",
  labels: {},
  fields: {},
  traceId: "",
  spanId: "",
});

test("the next page starts where the last line was and names what was seen", () => {
  const lines = [line("300", "c"), line("200", "b"), line("200", "a")];
  expect(nextPage(lines, true, 3)).toEqual({ bound: "201", seen: ["200\0b\0{}", "200\0a\0{}"] });
  expect(nextPage(lines, true, 4)).toBeUndefined();
  expect(nextPage([...lines].reverse(), false, 3)?.bound).toBe("300");
});

test("a page of one moment steps past it", () => {
  const lines = [line("200", "b"), line("200", "a")];
  expect(nextPage(lines, true, 2)).toEqual({ bound: "200", seen: [] });
  expect(nextPage(lines, false, 2)).toEqual({ bound: "201", seen: [] });
});

test("streams merge by time; metadata and labels are told apart", () => {
  const lines = toLines([
    {
      stream: { service_name: "a" },
      values: [["1700000000000000002", "x", { structuredMetadata: { trace_id: "t1", detected_level: "ERROR" } }]],
    },
    {
      stream: { service_name: "b" },
      values: [
        ["1700000000000000003", "y"],
        ["1700000000000000001", "z"],
      ],
    },
  ]);
  expect(lines.map((l) => l.line)).toEqual(["y", "x", "z"]);
  expect(lines[1]).toMatchObject({ traceId: "t1", level: "error", service: "a", ms: 1700000000000 });
});

test("levels in any spelling", () => {
  expect(["ERROR", "Err", "critical", "WARNING", "Information", "dbg", "", "9"].map(levelOf)).toEqual([
    "error",
    "error",
    "fatal",
    "warn",
    "info",
    "debug",
    "unknown",
    "unknown",
  ]);
});

test("a count belongs to the bucket before its time", () => {
  const s = toStacks(
    [
      {
        metric: { detected_level: "error" },
        values: [
          [10, "3"],
          [20, "4"],
        ],
      },
    ],
    { fromMs: 0, toMs: 20_000 },
    10,
  );
  expect(s.stacks[0]?.counts).toEqual([3, 4]);
  expect(s.total).toBe(7);
});
