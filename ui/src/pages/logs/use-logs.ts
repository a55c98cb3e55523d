/** The data of the log page: pages of lines, counts by severity. */
import { keepPreviousData, useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import {
  type DetectedField,
  detectedFields,
  type Level,
  levelOf,
  levels,
  logLabels,
  type LogLine,
  queryLogMetric,
  queryLogs,
} from "@/api/loki";
import { volumeQuery } from "@/lib/logql";
import { chooseStep, msToNs, type Range } from "@/lib/time";
import { levelColor } from "@/parts/show";
import type { Stack } from "@/parts/histogram";

export const pageSize = 500;

interface PageStart {
  bound: string;
  /** Lines at the bound that the page before already had. */
  seen: readonly string[];
}

const identity = (l: LogLine) => `${l.ns}\0${l.line}\0${JSON.stringify(l.labels)}`;

/**
 * Where the next page starts: at the time of the last line, since more lines may
 * share it; those seen are named, so that they come once. A page of nothing but
 * one moment steps past it, or paging would not end.
 */
export function nextPage(lines: readonly LogLine[], newest: boolean, limit: number): PageStart | undefined {
  const last = lines[lines.length - 1];
  if (!last || lines.length < limit) return undefined;
  const at = BigInt(last.ns);
  if (lines[0]!.ns === last.ns) return { bound: String(newest ? at : at + 1n), seen: [] };
  return { bound: String(newest ? at + 1n : at), seen: lines.filter((l) => l.ns === last.ns).map(identity) };
}

export function useLogPages(query: string, range: Range, newest: boolean, enabled: boolean) {
  const q = useInfiniteQuery({
    queryKey: ["logs", query, range.fromMs, range.toMs, newest],
    enabled,
    initialPageParam: undefined as PageStart | undefined,
    queryFn: async ({ pageParam, signal }) => {
      const bounds = pageParam ? (newest ? { endNs: pageParam.bound } : { startNs: pageParam.bound }) : undefined;
      const page = await queryLogs(query, range, pageSize, newest ? "backward" : "forward", signal, bounds);
      const next = nextPage(page.lines, newest, pageSize);
      const seen = new Set(pageParam?.seen);
      return { ...page, lines: seen.size ? page.lines.filter((l) => !seen.has(identity(l))) : page.lines, next };
    },
    getNextPageParam: (p) => p.next,
    placeholderData: keepPreviousData,
  });
  const lines = useMemo(
    () => (q.data?.pages ?? []).flatMap((p, n) => p.lines.map((l) => ({ ...l, key: `${n}/${l.key}` }))),
    [q.data],
  );
  return { ...q, lines };
}

export function useVolume(query: string, range: Range, enabled: boolean) {
  const step = chooseStep(range, 90);
  const q = useQuery({
    queryKey: ["log-volume", query, range.fromMs, range.toMs],
    queryFn: ({ signal }) => queryLogMetric(volumeQuery(query, step), range, step, signal),
    placeholderData: keepPreviousData,
    enabled,
  });
  const stacks = useMemo(() => toStacks(q.data?.data ?? [], range, step), [q.data, range, step]);
  return { ...q, ...stacks };
}

/** The fields of the records that match: stream labels, structured metadata, and what is found inside lines. */
export function useLogFields(query: string, range: Range, enabled = true) {
  return useQuery({
    queryKey: ["log-fields", query, range.fromMs, range.toMs],
    queryFn: async ({ signal }) => {
      const [labels, detected] = await Promise.all([logLabels(range, signal), detectedFields(query, range, signal)]);
      const known = new Map<string, DetectedField>(detected.map((f) => [f.label, f]));
      for (const l of labels) if (!known.has(l)) known.set(l, { label: l, type: "string", cardinality: 0 });
      return [...known.values()];
    },
    placeholderData: keepPreviousData,
    enabled,
  });
}

/** A value at time t counts what came in the step before it. */
export function toStacks(
  series: readonly { metric: Record<string, string>; values?: [number, string][] }[],
  range: Range,
  step: number,
) {
  const stepMs = step * 1000;
  const startMs = Math.floor(range.fromMs / stepMs) * stepMs;
  const buckets = Math.min(400, Math.ceil((range.toMs - startMs) / stepMs));
  const by = new Map<Level, number[]>();
  let total = 0;
  for (const s of series) {
    const level = levelOf(s.metric.detected_level ?? s.metric.level);
    const counts = by.get(level) ?? new Array<number>(buckets).fill(0);
    by.set(level, counts);
    for (const [t, v] of s.values ?? []) {
      const i = Math.round((t * 1000 - stepMs - startMs) / stepMs);
      const n = Number(v);
      if (i < 0 || i >= buckets || !Number.isFinite(n)) continue;
      counts[i]! += n;
      total += n;
    }
  }
  const stacks: Stack[] = levels
    .filter((l) => by.has(l))
    .map((l) => ({ name: l, color: levelColor(l), counts: by.get(l)! }));
  return { stacks, startMs, stepMs, buckets, total };
}

export const endOfRange = (r: Range) => msToNs(r.toMs);
