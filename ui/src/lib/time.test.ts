import { describe, expect, test } from "vitest";
import {
  chooseStep,
  describeRange,
  formatTime,
  nsToMs,
  parseRange,
  parseSpan,
  parseTime,
  resolveBound,
  resolveRange,
  timeTicks,
} from "./time";

const now = new Date(2026, 10, 20, 16, 30, 0).getTime();
const at = (h: number, m = 0, day = 20) => String(new Date(2026, 10, day, h, m).getTime());

describe("parseRange", () => {
  test.each<[string, { from: string; to: string } | undefined]>([
    ["last 2h", { from: "now-2h", to: "now" }],
    ["2h", { from: "now-2h", to: "now" }],
    ["past 90 minutes", { from: "now-90m", to: "now" }],
    ["last hour", { from: "now-1h", to: "now" }],
    ["1h30m", { from: "now-90m", to: "now" }],
    ["yesterday 14:00-15:00", { from: at(14, 0, 19), to: at(15, 0, 19) }],
    ["yesterday", { from: at(0, 0, 19), to: at(0, 0, 20) }],
    ["today", { from: at(0), to: String(now) }],
    ["2026-11-20 10:00 to 11:00", { from: at(10), to: at(11) }],
    ["2026-11-19 to 2026-11-20", { from: at(0, 0, 19), to: at(0, 0, 21) }],
    ["2026-11-19 23:00 - 2026-11-20 01:00", { from: at(23, 0, 19), to: at(1) }],
    ["10:00-11:30", { from: at(10), to: at(11, 30) }],
    ["now-6h to now-3h", { from: "now-6h", to: "now-3h" }],
    ["since 12:00", { from: at(12), to: "now" }],
    ["12:00", { from: at(11, 30), to: at(12, 30) }],
    ["11:00-10:00", undefined],
    ["25:99", undefined],
    ["soon", undefined],
    ["", undefined],
  ])("%s", (text, want) => {
    expect(parseRange(text, now)).toEqual(want);
  });

  test("an epoch time in any unit means the hour around it", () => {
    const want = { from: String(1_700_000_000_000 - 1_800_000), to: String(1_700_000_000_000 + 1_800_000) };
    for (const t of ["1700000000", "1700000000000", "1700000000000000", "1700000000000000000"])
      expect(parseRange(t, now)).toEqual(want);
  });
});

test("parseSpan refuses what it does not know", () => {
  expect(parseSpan("5 m")).toBe(300_000);
  expect(parseSpan("5 parsecs")).toBeUndefined();
  expect(parseSpan("m")).toBeUndefined();
});

test("bounds resolve against now", () => {
  expect(resolveBound("now-5m", now)).toBe(now - 300_000);
  expect(resolveBound("now + 1h", now)).toBe(now + 3_600_000);
  expect(resolveBound("tomorrow", now)).toBeUndefined();
  expect(resolveRange({ from: "x", to: "now" }, now)).toEqual({ fromMs: now - 3_600_000, toMs: now });
  expect(resolveRange({ from: "now", to: "now-1h" }, now).toMs).toBe(now);
});

test("describeRange says the day once", () => {
  expect(describeRange({ from: "now-1h", to: "now" }, "local", now)).toBe("Last 1 hour");
  expect(describeRange({ from: at(10), to: at(11) }, "local", now)).toBe("2026-11-20 10:00:00 – 11:00:00");
});

test("formatTime", () => {
  expect(formatTime(0, "utc")).toBe("1970-01-01 00:00:00.000");
  expect(formatTime(Number.NaN)).toBe("no time");
});

test("chooseStep stays below the wanted number of points", () => {
  expect(chooseStep({ fromMs: 0, toMs: 3_600_000 }, 240)).toBe(15);
  expect(chooseStep({ fromMs: 0, toMs: 30 * 86_400_000 }, 300)).toBe(10_800);
});

test("ticks are round moments of the zone", () => {
  const t = Date.UTC(2026, 10, 20, 18, 32, 52);
  const r = { fromMs: t, toMs: t + 3_600_000 };
  expect(timeTicks(r, 6, "utc").map((x) => x.label)).toEqual(["18:40", "18:50", "19:00", "19:10", "19:20", "19:30"]);
  const over = { fromMs: Date.UTC(2026, 10, 20, 22), toMs: Date.UTC(2026, 10, 21, 4) };
  expect(timeTicks(over, 3, "utc").map((x) => x.label)).toEqual(["22:00", "11-21 00:00", "02:00", "04:00"]);
  expect(timeTicks({ fromMs: t, toMs: t + 500 }, 2, "utc").map((x) => x.label)).toEqual([
    "18:32:52.125",
    "18:32:52.375",
  ]);
  expect(timeTicks({ fromMs: t, toMs: t }, 5, "utc")).toEqual([]);
});

test("nsToMs keeps microseconds", () => {
  expect(nsToMs("1700000000123456789")).toBe(1700000000123.456);
  expect(nsToMs("x")).toBe(0);
});

test("a moment as it is shown is read back, in both zones", () => {
  const ms = Date.UTC(2026, 10, 20, 14, 3, 7);
  for (const zone of ["local", "utc"] as const) {
    expect(parseTime(formatTime(ms, zone, 0), ms + 5_000_000, zone)).toBe(ms);
    expect(parseTime("now-5m", ms, zone)).toBe(ms - 300_000);
    expect(parseTime("2026-11-20T14:03:07Z", ms, zone)).toBe(ms);
    expect(parseTime(String(ms), 0, zone)).toBe(ms);
    expect(parseTime("nonsense", ms, zone)).toBeUndefined();
  }
});
