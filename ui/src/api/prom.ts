/** The Prometheus HTTP API. */
import type { Range } from "@/lib/time";
import { ApiError, getJSON, postForm } from "./http";

export type Labels = Record<string, string>;

export interface Sample {
  metric: Labels;
  value?: [number, string];
  histogram?: [number, HistogramValue];
}

export interface Series {
  metric: Labels;
  values?: [number, string][];
  histograms?: [number, HistogramValue][];
}

export interface HistogramValue {
  count: string;
  sum: string;
  /** boundary rule, lower, upper, count */
  buckets?: [number, string, string, string][];
}

export type QueryData =
  | { resultType: "vector"; result: Sample[] }
  | { resultType: "matrix"; result: Series[] }
  | { resultType: "scalar" | "string"; result: [number, string] };

interface Envelope<T> {
  status: "success" | "error";
  data: T;
  error?: string;
  warnings?: string[];
  infos?: string[];
}

export interface Answer<T> {
  data: T;
  warnings: string[];
  /** What is worth knowing and no fault. */
  infos?: string[];
  ms: number;
  /** Samples read, when the server counts them. */
  samples?: number;
}

function open<T>(e: Envelope<T>, path: string, started: number): Answer<T> {
  if (e.status !== "success") throw new ApiError(e.error ?? "the query failed", 200, path);
  const samples = (e.data as { stats?: { samples?: { samplesRead?: number; totalQueryableSamples?: number } } } | null)
    ?.stats?.samples;
  const read = samples?.samplesRead ?? samples?.totalQueryableSamples;
  return {
    data: e.data,
    warnings: e.warnings ?? [],
    infos: e.infos ?? [],
    ms: performance.now() - started,
    ...(read === undefined ? {} : { samples: read }),
  };
}

const seconds = (ms: number) => (ms / 1000).toFixed(3);

export async function query(q: string, timeMs: number, signal?: AbortSignal): Promise<Answer<QueryData>> {
  const t = performance.now();
  return open(
    await postForm<Envelope<QueryData>>("/api/v1/query", { query: q, time: seconds(timeMs) }, signal),
    "/api/v1/query",
    t,
  );
}

export async function queryRange(q: string, r: Range, step: number, signal?: AbortSignal): Promise<Answer<QueryData>> {
  const t = performance.now();
  const p = { ...rangeParams(q, r, step), stats: "true" };
  return open(await postForm<Envelope<QueryData>>("/api/v1/query_range", p, signal), "/api/v1/query_range", t);
}

/** Bounds snap to the step, so that a moving range asks for the same points. */
export function rangeParams(q: string, r: Range, step: number) {
  const s = step * 1000;
  return {
    query: q,
    start: seconds(Math.floor(r.fromMs / s) * s),
    end: seconds(Math.ceil(r.toMs / s) * s),
    step: String(step),
  };
}

export interface ExemplarSeries {
  seriesLabels: Labels;
  exemplars: { labels: Labels; value: string; timestamp: number }[];
}

export async function queryExemplars(q: string, r: Range, signal?: AbortSignal): Promise<ExemplarSeries[]> {
  const p = { query: q, start: seconds(r.fromMs), end: seconds(r.toMs) };
  const e = await postForm<Envelope<ExemplarSeries[] | null>>("/api/v1/query_exemplars", p, signal);
  return e.data ?? [];
}

export interface Metadata {
  type: string;
  help: string;
  unit: string;
}

export async function metadata(signal?: AbortSignal): Promise<Record<string, Metadata[]>> {
  return (
    (await getJSON<Envelope<Record<string, Metadata[]>>>("/api/v1/metadata", { limit: 20_000 }, signal)).data ?? {}
  );
}

export async function labelNames(
  match: string | undefined,
  r: Range | undefined,
  signal?: AbortSignal,
): Promise<string[]> {
  const p = {
    "match[]": match ? [match] : undefined,
    start: r && seconds(r.fromMs),
    end: r && seconds(r.toMs),
    limit: 1000,
  };
  return (await getJSON<Envelope<string[] | null>>("/api/v1/labels", p, signal)).data ?? [];
}

export async function labelValues(
  name: string,
  match: string | undefined,
  r: Range | undefined,
  signal?: AbortSignal,
): Promise<string[]> {
  const p = {
    "match[]": match ? [match] : undefined,
    start: r && seconds(r.fromMs),
    end: r && seconds(r.toMs),
    limit: 20_000,
  };
  return (
    (await getJSON<Envelope<string[] | null>>(`/api/v1/label/${encodeURIComponent(name)}/values`, p, signal)).data ?? []
  );
}

export interface TsdbStatus {
  headStats?: { numSeries?: number; chunkCount?: number; minTime?: number; maxTime?: number };
  seriesCountByMetricName?: { name: string; value: number }[];
  labelValueCountByLabelName?: { name: string; value: number }[];
  memoryInBytesByLabelName?: { name: string; value: number }[];
  seriesCountByLabelValuePair?: { name: string; value: number }[];
}

export async function tsdbStatus(signal?: AbortSignal, limit = 30): Promise<TsdbStatus> {
  return (await getJSON<Envelope<TsdbStatus>>("/api/v1/status/tsdb", { limit }, signal)).data ?? {};
}

export interface RuleAlert {
  labels: Labels;
  annotations: Labels;
  state: string;
  activeAt?: string;
  value?: string;
}

export interface Rule {
  name: string;
  query: string;
  type: "alerting" | "recording";
  state?: "firing" | "pending" | "inactive" | "unknown";
  duration?: number;
  keepFiringFor?: number;
  labels?: Labels;
  annotations?: Labels;
  alerts?: RuleAlert[];
  health?: string;
  lastError?: string;
  evaluationTime?: number;
  lastEvaluation?: string;
}

export interface RuleGroup {
  name: string;
  file: string;
  interval: number;
  rules: Rule[];
  evaluationTime?: number;
  lastEvaluation?: string;
}

export async function rules(signal?: AbortSignal): Promise<RuleGroup[]> {
  return (
    (await getJSON<Envelope<{ groups: RuleGroup[] | null }>>("/api/v1/rules", undefined, signal)).data?.groups ?? []
  );
}
