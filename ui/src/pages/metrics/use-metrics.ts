/** The data of metric charts: several range queries, their exemplars, the period before. */
import { keepPreviousData, useQueries } from "@tanstack/react-query";
import { type ExemplarSeries, type QueryData, queryExemplars, queryRange, type Labels } from "@/api/prom";
import { distinguishing, seriesVar, shortName } from "@/lib/series";
import { chooseStep, type Range } from "@/lib/time";
import type { Dot, Line } from "@/parts/chart";
import type { Asked } from "@/parts/progress";
import { sumSpent } from "@/lib/format";

export interface MetricQuery {
  slot: string;
  query: string;
  legend?: string;
}

export interface MetricLine extends Line {
  slot: string;
  query: string;
  labels: Labels;
}

/** Points of a matrix; histograms show their mean. */
export function pointsOf(s: {
  values?: [number, string][];
  histograms?: [number, { count: string; sum: string }][];
}): [number, number][] {
  if (s.values) return s.values.map(([t, v]) => [t * 1000, Number(v)]);
  return (s.histograms ?? []).map(([t, h]) => [t * 1000, Number(h.sum) / Number(h.count)]);
}

export const maxSeries = 300;

export function useMetricLines(
  queries: readonly MetricQuery[],
  range: Range,
  offsetMs = 0,
  enabled = true,
  points = 240,
) {
  const step = chooseStep(range, points);
  const shifted = { fromMs: range.fromMs - offsetMs, toMs: range.toMs - offsetMs };
  const keyOf = (q: MetricQuery) => ["metric", q.query, shifted.fromMs, shifted.toMs, step];
  const results = useQueries({
    queries: queries.map((q) => ({
      queryKey: keyOf(q),
      queryFn: ({ signal }: { signal: AbortSignal }) => queryRange(q.query, shifted, step, signal),
      placeholderData: keepPreviousData,
      enabled,
    })),
  });
  const lines: MetricLine[] = [];
  let dropped = 0;
  const data = results.map((r) => (r.data ? seriesOf(r.data.data) : []));
  const all = data.flat().map((s) => s.metric);
  const keys = distinguishing(all);
  data.forEach((list, i) => {
    const q = queries[i]!;
    for (const s of list) {
      if (lines.length >= maxSeries) {
        dropped++;
        continue;
      }
      const name = q.legend
        ? q.legend.replace(/\{\{\s*([\w.]+)\s*\}\}/g, (_, k: string) => s.metric[k] ?? "")
        : Object.keys(s.metric).length === 0
          ? q.query.slice(0, 120)
          : shortName(s.metric, keys);
      lines.push({
        name: offsetMs ? `${name} (before)` : queries.length > 1 ? `$${q.slot} ${name}` : name,
        color: seriesVar(lines.length),
        points: pointsOf(s).map(([t, v]) => [t + offsetMs, v] as const),
        slot: q.slot,
        query: q.query,
        labels: s.metric,
        dash: offsetMs > 0,
      });
    }
  });
  return {
    lines,
    dropped,
    step,
    fetching: results.some((r) => r.isFetching),
    done: results.every((r) => r.isSuccess),
    errors: results.flatMap((r, i) =>
      r.error ? [{ slot: queries[i]!.slot, error: r.error, retry: () => void r.refetch() }] : [],
    ),
    warnings: [...new Set(results.flatMap((r) => r.data?.warnings ?? []))],
    infos: [...new Set(results.flatMap((r) => r.data?.infos ?? []))],
    spent: sumSpent(results.map((r) => r.data && { ms: r.data.ms, rows: r.data.samples ?? 0, of: "sample" })),
    asked: enabled ? results.map((q, i): Asked => ({ key: keyOf(queries[i]!), q })) : [],
  };
}

function seriesOf(d: QueryData) {
  if (d.resultType === "matrix") return d.result;
  return [];
}

const idKeys = ["trace_id", "traceID", "traceId", "request_id", "correlation_id"];

/** Where an exemplar's series is one that is drawn, its value is on the chart's scale only for quantiles and gauges. */
export function dotsOf(series: readonly ExemplarSeries[]): Dot[] {
  return series.flatMap((s) =>
    s.exemplars.map((e) => ({
      ms: e.timestamp * 1000,
      value: Number(e.value),
      id: idKeys.map((k) => e.labels[k]).find(Boolean) ?? "",
      labels: { ...e.labels, ...s.seriesLabels },
    })),
  );
}

export function useExemplars(queries: readonly MetricQuery[], range: Range, enabled: boolean) {
  const results = useQueries({
    queries: queries.map((q) => ({
      queryKey: ["exemplars", q.query, range.fromMs, range.toMs],
      queryFn: ({ signal }: { signal: AbortSignal }) => queryExemplars(q.query, range, signal),
      enabled,
      retry: false,
    })),
  });
  return results.flatMap((r) => dotsOf(r.data ?? []));
}
