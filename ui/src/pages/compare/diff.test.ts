import { expect, test } from "vitest";
import type { Span } from "@/api/generated";
import { buildForest } from "@/lib/waterfall";
import { diff, fieldDiff } from "./diff";

const span = (service: string, name: string, ns: number, attributes: Record<string, string> = {}): Span => ({
  traceId: "t",
  spanId: name,
  service,
  name,
  startNs: "1000",
  durationNs: String(ns),
  attributes: Object.entries(attributes).map(([key, value]) => ({ key, value })),
});

test("operations match by service and name; one side may lack some", () => {
  const rows = diff(
    buildForest([span("a", "x", 100), span("a", "y", 5)], []),
    buildForest([span("a", "x", 300), span("b", "z", 7)], []),
  );
  expect(rows.map((r) => [r.name, r.a.count, r.b.count, r.change])).toEqual([
    ["x", 1, 1, 200],
    ["y", 1, 0, -5],
    ["z", 0, 1, 7],
  ]);
});

test("fields that differ, failures first and ids last; services of one side only are left out", () => {
  const a = buildForest(
    [span("s", "x", 1, { "user.id": "1", version: "1", same: "k" }), span("only", "q", 1, { p: "1" })],
    [],
  );
  const b = buildForest([span("s", "x", 1, { "user.id": "2", version: "2", same: "k", "error.type": "timeout" })], []);
  expect(fieldDiff(a, b).map((d) => [d.field, d.a, d.b])).toEqual([
    ["error.type", [], ["timeout"]],
    ["version", ["1"], ["2"]],
    ["user.id", ["1"], ["2"]],
  ]);
});
