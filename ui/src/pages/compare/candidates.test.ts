import { expect, test } from "vitest";
import { pickCandidates } from "./candidates";

const t = (traceID: string, durationMs: number, errorCount = 0) => ({
  traceID,
  durationMs,
  startTimeUnixNano: "1",
  serviceStats: { s: { spanCount: 1, errorCount } },
});

test("typical, fastest, slowest and failed, none twice and none of those shown", () => {
  const all = [t("a", 10), t("b", 20), t("c", 90), t("d", 5), t("e", 7, 1)];
  expect(pickCandidates(all, ["d"]).map((c) => [c.what, c.trace.traceID])).toEqual([
    ["typical", "b"],
    ["fastest", "a"],
    ["slowest", "c"],
    ["failed", "e"],
  ]);
  expect(pickCandidates([t("a", 1)], [])).toHaveLength(1);
  expect(pickCandidates([], [])).toEqual([]);
});
