/** The Tempo HTTP API. */
import type { Spent } from "@/lib/format";
import type { Range } from "@/lib/time";
import { getJSON } from "./http";
import type { Labels } from "./prom";

export interface TraceSummary {
  traceID: string;
  rootServiceName?: string;
  rootTraceName?: string;
  startTimeUnixNano: string;
  durationMs?: number;
  spanSets?: SpanSet[];
  spanSet?: SpanSet;
  serviceStats?: Record<string, { spanCount?: number; errorCount?: number }>;
}

export interface SpanSet {
  spans?: FoundSpan[];
  matched?: number;
}

export interface FoundSpan {
  spanID: string;
  name?: string;
  startTimeUnixNano: string;
  durationNanos: string;
  attributes?: { key: string; value: AnyValue }[];
}

export interface AnyValue {
  stringValue?: string;
  intValue?: string | number;
  doubleValue?: number;
  boolValue?: boolean;
  arrayValue?: unknown;
}

export function anyText(v: AnyValue | undefined): string {
  if (!v) return "";
  const x = v.stringValue ?? v.intValue ?? v.doubleValue ?? v.boolValue;
  return x === undefined ? JSON.stringify(v.arrayValue ?? null) : String(x);
}

export interface SearchAnswer {
  traces: TraceSummary[];
  spent: Spent;
}

const sec = (r: Range) => ({ start: Math.floor(r.fromMs / 1000), end: Math.ceil(r.toMs / 1000) });

export const searchParams = (q: string, r: Range, limit: number) => ({ q, limit, spss: 3, ...sec(r) });

export async function searchTraces(q: string, r: Range, limit: number, signal?: AbortSignal): Promise<SearchAnswer> {
  const started = performance.now();
  const a = await getJSON<{ traces?: TraceSummary[]; metrics?: Metrics }>(
    "/api/search",
    searchParams(q, r, limit),
    signal,
  );
  return { traces: a.traces ?? [], spent: spentOf(a.metrics, started) };
}

export async function searchTags(r: Range, signal?: AbortSignal): Promise<{ scope: string; tags: string[] }[]> {
  const a = await getJSON<{ scopes?: { name: string; tags?: string[] }[] }>(
    "/api/v2/search/tags",
    { ...sec(r), limit: 500 },
    signal,
  );
  return (a.scopes ?? []).map((s) => ({ scope: s.name, tags: s.tags ?? [] }));
}

export async function tagValues(
  tag: string,
  r: Range,
  q?: string,
  signal?: AbortSignal,
): Promise<{ type: string; value: string }[]> {
  const path = `/api/v2/search/tag/${encodeURIComponent(tag)}/values`;
  const a = await getJSON<{ tagValues?: { type: string; value: string }[] }>(
    path,
    { ...sec(r), q, limit: 200 },
    signal,
  );
  return a.tagValues ?? [];
}

export interface TraceSeries {
  labels: Labels;
  points: [number, number][];
  exemplars: { ms: number; value: number; traceId: string; labels: Labels }[];
}

interface RawSeries {
  labels?: { key: string; value: AnyValue }[];
  samples?: { timestampMs: string; value?: number }[];
  exemplars?: { labels?: { key: string; value: AnyValue }[]; value?: number; timestampMs?: string }[];
}

export interface TraceNumbers {
  series: TraceSeries[];
  spent: Spent;
}

interface Metrics {
  inspectedBytes?: string | number;
  inspectedSpans?: string | number;
}

/** What a search or a query for numbers took. */
export const spentOf = (m: Metrics | undefined, started: number): Spent => ({
  ms: performance.now() - started,
  bytes: Number(m?.inspectedBytes ?? 0),
  rows: Number(m?.inspectedSpans ?? 0),
  of: "span",
});

export const numberParams = (q: string, r: Range, step: number) => ({ q, ...sec(r), step: `${step}s`, exemplars: 100 });

/** TraceQL metrics: the points of every series, in milliseconds, each at the start of its step: Tempo tells its end. */
export async function traceMetrics(q: string, r: Range, step: number, signal?: AbortSignal): Promise<TraceNumbers> {
  const started = performance.now();
  const a = await getJSON<{ series?: RawSeries[]; metrics?: Metrics }>(
    "/api/metrics/query_range",
    numberParams(q, r, step),
    signal,
  );
  const labels = (l: RawSeries["labels"]) => Object.fromEntries((l ?? []).map((x) => [x.key, anyText(x.value)]));
  const series = (a.series ?? []).map(
    (s): TraceSeries => ({
      labels: labels(s.labels),
      points: (s.samples ?? []).map((p) => [Number(p.timestampMs) - step * 1000, Number(p.value ?? 0)]),
      exemplars: (s.exemplars ?? []).map((e) => {
        const l = labels(e.labels);
        return {
          ms: Number(e.timestampMs ?? 0),
          value: Number(e.value ?? 0),
          traceId: l["trace:id"] ?? l.traceID ?? l.trace_id ?? "",
          labels: l,
        };
      }),
    }),
  );
  return { series, spent: spentOf(a.metrics, started) };
}

/** One number a series, over the whole range. */
export interface InstantTrace {
  labels: Labels;
  value: number;
}

export async function traceInstant(
  q: string,
  r: Range,
  signal?: AbortSignal,
): Promise<{ series: InstantTrace[]; spent: Spent }> {
  const started = performance.now();
  const a = await getJSON<{ series?: { labels?: RawSeries["labels"]; value?: number }[]; metrics?: Metrics }>(
    "/api/metrics/query",
    { q, ...sec(r) },
    signal,
  );
  const series = (a.series ?? []).map((s) => ({
    labels: Object.fromEntries((s.labels ?? []).map((x) => [x.key, anyText(x.value)])),
    value: Number(s.value ?? 0),
  }));
  return { series, spent: spentOf(a.metrics, started) };
}
