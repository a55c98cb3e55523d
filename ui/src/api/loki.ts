/** The Loki HTTP API. */
import type { Spent } from "@/lib/format";
import type { Range } from "@/lib/time";
import { msToNs } from "@/lib/time";
import { getJSON, headers, postForm, withParams } from "./http";
import type { Labels, Series } from "./prom";

/** One log record as the pages use it. */
export interface LogLine {
  /** Unique in a list. */
  key: string;
  ns: string;
  ms: number;
  line: string;
  level: Level;
  service: string;
  /** Stream labels. */
  labels: Labels;
  /** Structured metadata and what the query parsed out of the line. */
  fields: Labels;
  traceId: string;
  spanId: string;
}

export type Level = "fatal" | "error" | "warn" | "info" | "debug" | "trace" | "unknown";

/** Most severe first: the order of legends and of stacked bars. */
export const levels: readonly Level[] = ["fatal", "error", "warn", "info", "debug", "trace", "unknown"];

export function levelOf(text: string | undefined): Level {
  const t = (text ?? "").toLowerCase();
  if (/^(fatal|critical|crit|panic|emerg|emergency|alert)/.test(t)) return "fatal";
  if (/^(err|error|severe)/.test(t)) return "error";
  if (/^warn/.test(t)) return "warn";
  if (/^(info|information|notice)/.test(t)) return "info";
  if (/^(debug|dbg|fine)/.test(t)) return "debug";
  if (/^(trace|verbose)/.test(t)) return "trace";
  return "unknown";
}

type Entry = [string, string] | [string, string, { structuredMetadata?: Labels; parsed?: Labels }];

export interface Stream {
  stream: Labels;
  values: Entry[];
}

interface LokiResult {
  status: string;
  data:
    | { resultType: "streams"; result: Stream[] | null; stats?: LokiStats }
    | { resultType: "matrix"; result: Series[] | null; stats?: LokiStats }
    | { resultType: "vector"; result: { metric: Labels; value: [number, string] }[] | null; stats?: LokiStats };
  warnings?: string[];
}

export interface LokiStats {
  summary?: {
    bytesProcessedPerSecond?: number;
    linesProcessedPerSecond?: number;
    totalBytesProcessed?: number;
    totalLinesProcessed?: number;
    execTime?: number;
  };
}

export interface LogPage {
  lines: LogLine[];
  stats: LokiStats;
  warnings: string[];
  ms: number;
}

/** What pages of records took: one after the other. */
export const logSpent = (pages: readonly LogPage[]): Spent => ({
  ms: pages.reduce((n, p) => n + p.ms, 0),
  bytes: pages.reduce((n, p) => n + (p.stats.summary?.totalBytesProcessed ?? 0), 0),
  rows: pages.reduce((n, p) => n + (p.stats.summary?.totalLinesProcessed ?? 0), 0),
});

const categorize = { "X-Loki-Response-Encoding-Flags": "categorize-labels" };

const flat = (o: unknown): Labels => {
  const out: Labels = {};
  if (o && typeof o === "object") for (const [k, v] of Object.entries(o)) if (typeof v === "string") out[k] = v;
  return out;
};

/** Streams as one list, in the direction asked for; entries of equal time keep their order. */
export function toLines(streams: readonly Stream[], newestFirst = true): LogLine[] {
  const out: LogLine[] = [];
  streams.forEach((s, si) => {
    s.values.forEach(([ns, line, meta], i) => {
      const fields = { ...flat(meta?.structuredMetadata), ...flat(meta?.parsed) };
      const pick = (...names: string[]) => {
        for (const n of names) {
          const v = fields[n] ?? s.stream[n];
          if (v) return v;
        }
        return "";
      };
      out.push({
        key: `${ns}/${si}/${i}`,
        ns,
        ms: Number(ns.slice(0, -6)) + Number(ns.slice(-6)) / 1e6,
        line,
        level: levelOf(pick("detected_level", "level", "severity_text", "severity")),
        service: pick("service_name", "service.name", "service"),
        labels: s.stream,
        fields,
        traceId: pick("trace_id", "traceId", "traceID"),
        spanId: pick("span_id", "spanId", "spanID"),
      });
    });
  });
  const sign = newestFirst ? -1 : 1;
  return out.sort((a, b) =>
    a.ns === b.ns ? 0 : a.ns.length === b.ns.length ? (a.ns < b.ns ? -sign : sign) : (a.ns.length - b.ns.length) * sign,
  );
}

export function logParams(q: string, r: Range, limit: number, direction: "backward" | "forward", endNs?: string) {
  return { query: q, start: msToNs(r.fromMs), end: endNs ?? msToNs(r.toMs), limit, direction };
}

export async function queryLogs(
  q: string,
  r: Range,
  limit: number,
  direction: "backward" | "forward",
  signal?: AbortSignal,
  bounds?: { startNs?: string; endNs?: string },
): Promise<LogPage> {
  const t = performance.now();
  const p = logParams(q, r, limit, direction, bounds?.endNs);
  if (bounds?.startNs) p.start = bounds.startNs;
  const e = await getJSON<LokiResult>("/loki/api/v1/query_range", p, signal, categorize);
  const lines = e.data.resultType === "streams" ? toLines(e.data.result ?? [], direction === "backward") : [];
  return { lines, stats: e.data.stats ?? {}, warnings: e.warnings ?? [], ms: performance.now() - t };
}

export async function queryLogMetric(
  q: string,
  r: Range,
  step: number,
  signal?: AbortSignal,
): Promise<{ data: Series[]; warnings: string[]; spent: Spent }> {
  const t = performance.now();
  const s = step * 1000;
  const p = {
    query: q,
    start: msToNs(Math.floor(r.fromMs / s) * s),
    end: msToNs(Math.ceil(r.toMs / s) * s),
    step: `${step}s`,
  };
  const e = await postForm<LokiResult>("/loki/api/v1/query_range", p, signal);
  return {
    data: e.data.resultType === "matrix" ? (e.data.result ?? []) : [],
    warnings: e.warnings ?? [],
    spent: {
      ms: performance.now() - t,
      bytes: e.data.stats?.summary?.totalBytesProcessed ?? 0,
      rows: e.data.stats?.summary?.totalLinesProcessed ?? 0,
    },
  };
}

export async function instantLogMetric(
  q: string,
  atMs: number,
  signal?: AbortSignal,
): Promise<{ metric: Labels; value: number }[]> {
  const e = await postForm<LokiResult>("/loki/api/v1/query", { query: q, time: msToNs(atMs) }, signal);
  if (e.data.resultType !== "vector") return [];
  return (e.data.result ?? []).map((s) => ({ metric: s.metric, value: Number(s.value[1]) }));
}

const bounds = (r: Range) => ({ start: msToNs(r.fromMs), end: msToNs(r.toMs) });

export async function logLabels(r: Range, signal?: AbortSignal): Promise<string[]> {
  return (await getJSON<{ data: string[] | null }>("/loki/api/v1/labels", bounds(r), signal)).data ?? [];
}

export async function logLabelValues(name: string, r: Range, query?: string, signal?: AbortSignal): Promise<string[]> {
  const path = `/loki/api/v1/label/${encodeURIComponent(name)}/values`;
  return (await getJSON<{ data: string[] | null }>(path, { ...bounds(r), query }, signal)).data ?? [];
}

export interface DetectedField {
  label: string;
  type: string;
  cardinality: number;
  parsers?: string[] | null;
}

export async function detectedFields(q: string, r: Range, signal?: AbortSignal): Promise<DetectedField[]> {
  const p = { query: q, ...bounds(r), limit: 300, field_limit: 300, line_limit: 1000 };
  return (await getJSON<{ fields?: DetectedField[] | null }>("/loki/api/v1/detected_fields", p, signal)).fields ?? [];
}

export interface LogPattern {
  pattern: string;
  level?: string;
  samples: [number, number][];
}

export async function patterns(q: string, r: Range, step: number, signal?: AbortSignal): Promise<LogPattern[]> {
  const p = { query: q, ...bounds(r), step: `${step}s` };
  return (await getJSON<{ data?: LogPattern[] | null }>("/loki/api/v1/patterns", p, signal)).data ?? [];
}

/** Follows a query. The tenant travels as a parameter: browsers cannot set headers on a WebSocket. */
export function tail(
  q: string,
  onLines: (lines: LogLine[], dropped: number) => void,
  onEnd: (why: string) => void,
): () => void {
  const tenant = headers()["X-Scope-OrgID"];
  const url = new URL(
    withParams("/loki/api/v1/tail", { query: q, limit: 100, "X-Scope-OrgID": tenant }),
    window.location.href,
  );
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  const ws = new WebSocket(url);
  let ended = false;
  let serial = 0;
  const end = (why: string) => {
    if (!ended) onEnd(why);
    ended = true;
  };
  ws.onmessage = (m) => {
    try {
      const f = JSON.parse(String(m.data)) as { streams?: Stream[]; dropped_entries?: unknown[] | null };
      const lines = toLines(f.streams ?? [], false);
      serial++;
      onLines(
        lines.map((l) => ({ ...l, key: `t${serial}/${l.key}` })),
        f.dropped_entries?.length ?? 0,
      );
    } catch {
      end("the server sent what is no JSON");
      ws.close();
    }
  };
  ws.onerror = () => end("the connection failed");
  ws.onclose = (e) => end(e.reason || "the connection was closed");
  return () => {
    ended = true;
    ws.close();
  };
}
