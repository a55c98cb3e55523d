import { describe, expect, test } from "vitest";
import type { Log, Span } from "@/api/generated";
import { buildForest, buildRows, findSpans, type RowOptions, selfTime, ticks } from "./waterfall";

const base = 1_700_000_000_000_000_000n;
const span = (id: string, parent: string, start: number, duration: number, extra: Partial<Span> = {}): Span => ({
  traceId: "t",
  spanId: id,
  parentId: parent,
  name: id,
  service: "a",
  startNs: String(base + BigInt(start)),
  durationNs: String(duration),
  ...extra,
});
const log = (at: number, spanId = "", body = "x"): Log => ({
  timeNs: String(base + BigInt(at)),
  traceId: "t",
  spanId,
  body,
});
const options: RowOptions = { closed: new Set(), opened: new Set(), showLogs: true, groupFrom: 5 };
const shape = (rows: ReturnType<typeof buildRows>) => rows.map((r) => `${"  ".repeat(r.depth)}${r.id}`);

describe("buildForest", () => {
  test("nanoseconds survive", () => {
    const f = buildForest([span("r", "", 0, 10), span("c", "r", 3, 1)], []);
    expect(f.nodes[1]!.start).toBe(3);
    expect(f.base).toBe(base);
    expect(f.total).toBe(10);
  });
  test("orphans are roots, cycles are cut", () => {
    const f = buildForest([span("a", "b", 0, 5), span("b", "a", 1, 5), span("o", "gone", 2, 1)], []);
    expect(f.roots.length).toBe(2);
    expect(f.nodes.every((n) => n.depth <= 1)).toBe(true);
    expect(buildRows(f, options)).toHaveLength(3);
  });
  test("a span that is its own parent is a root", () => {
    expect(buildForest([span("a", "a", 0, 5)], []).roots).toEqual([0]);
  });
  test("critical path is what the end waited for", () => {
    const f = buildForest(
      [
        span("r", "", 0, 100),
        span("fast", "r", 0, 10),
        span("slow", "r", 10, 80),
        span("side", "r", 20, 5),
        span("in", "slow", 50, 40),
      ],
      [],
    );
    expect(f.nodes.filter((n) => n.critical).map((n) => n.span.name)).toEqual(["r", "fast", "slow", "in"]);
  });
  test("nothing is a forest too", () => {
    expect(buildForest([], [])).toMatchObject({ roots: [], total: 0 });
  });
});

describe("buildRows", () => {
  test("logs stand at their moment among the children of their span", () => {
    const f = buildForest(
      [span("r", "", 0, 100), span("c1", "r", 10, 10), span("c2", "r", 50, 10)],
      [log(30, "r"), log(55, "c2"), log(5, "none")],
    );
    expect(shape(buildRows(f, options))).toEqual(["s0", "  s1", "  l0", "  s2", "    l1", "l2"]);
    expect(shape(buildRows(f, { ...options, showLogs: false }))).toEqual(["s0", "  s1", "  s2"]);
  });
  test("a closed span hides what is inside", () => {
    const f = buildForest([span("r", "", 0, 100), span("c", "r", 1, 1), span("d", "c", 1, 1)], []);
    expect(shape(buildRows(f, { ...options, closed: new Set(["s0"]) }))).toEqual(["s0"]);
  });
  test("similar siblings become one row; the failed one stays", () => {
    const many = Array.from({ length: 8 }, (_, i) =>
      span(`q${i}`, "r", i, 1, { name: "SELECT", status: i === 3 ? "error" : "ok" }),
    );
    const f = buildForest([span("r", "", 0, 100), ...many], []);
    const rows = buildRows(f, options);
    expect(rows.map((r) => r.kind)).toEqual(["span", "group", "span"]);
    const g = rows[1]!;
    expect(g.kind === "group" && g.members.length).toBe(7);
    expect(buildRows(f, { ...options, opened: new Set([g.id]) })).toHaveLength(10);
  });
  test("a search keeps ancestors only", () => {
    const f = buildForest(
      [span("r", "", 0, 100), span("x", "r", 1, 1), span("y", "r", 2, 9), span("needle", "y", 3, 1)],
      [log(1, "r")],
    );
    expect(shape(buildRows(f, { ...options, only: findSpans(f, "need") }))).toEqual(["s0", "  s2", "    s3"]);
  });
  test("100,000 spans in one chain, and side by side", () => {
    const chain = Array.from({ length: 100_000 }, (_, i) => span(`s${i}`, i ? `s${i - 1}` : "", i, 1));
    expect(buildRows(buildForest(chain, []), options)).toHaveLength(100_000);
    const wide = Array.from({ length: 100_000 }, (_, i) => span(`s${i}`, i ? "s0" : "", i, 1, { name: `n${i}` }));
    expect(buildRows(buildForest(wide, []), options)).toHaveLength(100_000);
  }, 60_000);
});

test("self time leaves out overlapping children once", () => {
  const f = buildForest([span("r", "", 0, 100), span("a", "r", 10, 30), span("b", "r", 20, 30)], []);
  expect(selfTime(f, 0)).toBe(60);
});

test("ticks are round", () => {
  expect(ticks(97, 5)).toEqual([0, 20, 40, 60, 80]);
  expect(ticks(0, 5)).toEqual([0]);
});
