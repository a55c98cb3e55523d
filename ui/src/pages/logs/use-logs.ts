/** The data of the log page: pages of lines, counts by severity. */
import { keepPreviousData, useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import {
  type DetectedField,
  detectedFields,
  instantLogMetric,
  type Level,
  levelOf,
  levels,
  logLabels,
  type LogLine,
  queryLogMetric,
  queryLogs,
} from "@/api/loki";
import { ApiError } from "@/api/http";
import { logFacet, logFields } from "@/api/search";
import { hasParser, labelName, topValuesQuery, totalQuery, volumeQuery } from "@/lib/logql";
import { chooseStep, msToNs, type Range } from "@/lib/time";
import { useRun } from "@/parts/progress";
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

export function useLogPages(query: string, range: Range, newest: boolean) {
  const key = ["logs", query, range.fromMs, range.toMs, newest];
  const q = useInfiniteQuery({
    queryKey: key,
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
  return { q, lines, key, run: useRun({ key, q }) };
}

export function useVolume(query: string, range: Range) {
  const step = chooseStep(range, 90);
  const key = ["log-volume", query, range.fromMs, range.toMs];
  const q = useQuery({
    queryKey: key,
    queryFn: ({ signal }) => queryLogMetric(volumeQuery(query, step), range, step, signal),
    placeholderData: keepPreviousData,
  });
  const stacks = useMemo(() => toStacks(q.data?.data ?? [], range, step), [q.data, range, step]);
  return { q, run: useRun({ key, q }), ...stacks };
}

/** A field of the records that match. */
export interface LogField {
  label: string;
  /** Records that have it, of all that match; unknown for what a parser finds in lines. */
  records?: number;
  /** What reads it out of the line. */
  parser?: "json" | "logfmt";
}

/** What the store cannot answer by itself, such as a query with a parser, it refuses as a wrong question. */
function unlessRefused(e: unknown): undefined {
  if (!(e instanceof ApiError && e.status === 400)) throw e;
}

const parserOf = (f: DetectedField) => f.parsers?.find((p) => p === "json" || p === "logfmt");

/** The fields of the records that match: those they carry, counted over all of them, and what is found inside lines. */
export function useLogFields(query: string, range: Range, enabled = true) {
  const key = ["log-fields", query, range.fromMs, range.toMs];
  const q = useQuery({
    queryKey: key,
    queryFn: async ({ signal }) => {
      const [carried, detected] = await Promise.all([
        hasParser(query) ? undefined : logFields(query, range, signal).catch(unlessRefused),
        detectedFields(query, range, signal),
      ]);
      const known = new Map<string, LogField>();
      for (const f of carried ?? []) {
        if (f.scope !== "record" && f.scope !== "resource") continue;
        known.set(f.label, { label: f.label, records: (known.get(f.label)?.records ?? 0) + f.count });
      }
      for (const f of detected) {
        const parser = parserOf(f);
        if (!known.has(f.label)) known.set(f.label, { label: f.label, ...(parser ? { parser } : {}) });
      }
      if (!carried) for (const l of await logLabels(range, signal)) if (!known.has(l)) known.set(l, { label: l });
      return [...known.values()];
    },
    placeholderData: keepPreviousData,
    enabled,
  });
  return { q, run: useRun({ key, q }) };
}

export interface TopValues {
  values: { value: string; count: number }[];
  /** All records that match, those that lack the field, those with other values, and how many values there are. */
  total: number;
  missing: number;
  other: number;
  distinct?: number;
  partial?: boolean;
}

/** The most frequent values of a field, with counts over every record that matches. */
export function useTopValues(query: string, field: LogField, range: Range, most: number) {
  const key = ["top-values", query, field.label, field.parser ?? "", range.fromMs, range.toMs];
  const q = useQuery({
    queryKey: key,
    queryFn: async ({ signal }): Promise<TopValues> => {
      const f =
        field.parser || hasParser(query)
          ? undefined
          : await logFacet(query, range, field.label, most, signal).catch(unlessRefused);
      if (f) return { ...f, total: f.values.reduce((n, v) => n + v.count, f.missing + f.other) };
      const seconds = (range.toMs - range.fromMs) / 1000;
      const [top, all] = await Promise.all([
        instantLogMetric(topValuesQuery(query, field.label, field.parser, seconds, most), range.toMs, signal),
        instantLogMetric(totalQuery(query, seconds), range.toMs, signal),
      ]);
      const values = top
        .map((r) => ({ value: r.metric[labelName(field.label)] ?? r.metric[field.label] ?? "", count: r.value }))
        .sort((a, b) => b.count - a.count);
      const listed = values.reduce((n, v) => n + v.count, 0);
      const total = Math.max(listed, all[0]?.value ?? 0);
      // Without the store's own count, what is not listed has another value or none.
      return { values, total, missing: 0, other: total - listed };
    },
  });
  return { q, run: useRun({ key, q }) };
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
