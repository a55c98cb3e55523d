import { expect, test } from "vitest";
import type { Episode } from "@/api/evidence";
import { firedBefore } from "./fired";

const e = (name: string, firedAt: string): Episode => ({
  fingerprint: name,
  name,
  labels: {},
  annotations: { summary: `${name}!` },
  expr: "",
  value: 1,
  pendingAt: firedAt,
  firedAt,
});

test("each alert once, the latest first, none that fires now", () => {
  const list = [
    e("a", "2026-11-20T10:00:00Z"),
    e("b", "2026-11-20T10:05:00Z"),
    e("a", "2026-11-20T10:10:00Z"),
    e("c", "2026-11-20T10:20:00Z"),
  ];
  expect(firedBefore(list, new Set(["c"])).map((f) => [f.name, f.times, f.summary])).toEqual([
    ["a", 2, "a!"],
    ["b", 1, "b!"],
  ]);
});
