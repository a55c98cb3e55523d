/** A TraceQL query for numbers, as a chart. */
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useMemo, useRef, useState } from "react";
import type { Labels } from "@/api/prom";
import { type TraceSeries, traceMetrics } from "@/api/tempo";
import { duration, plural } from "@/lib/format";
import { distinguishing, seriesVar, shortName } from "@/lib/series";
import { chooseStep } from "@/lib/time";
import { type Dot, type Line, type Mark, type Style, TimeChart } from "@/parts/chart";
import { Empty, ErrorNotice } from "@/parts/feedback";
import { Heatmap, toHeat } from "@/parts/heatmap";
import { Legend } from "@/parts/legend";
import { ShareMenu } from "@/parts/menus";
import { Cost, Progress, useRun } from "@/parts/progress";
import { useRange } from "@/shell/range";

export function toLines(series: readonly TraceSeries[]): Line[] {
  const keys = distinguishing(series.map((s) => s.labels));
  return series.map((s, i) => ({ name: shortName(s.labels, keys), color: seriesVar(i), points: s.points }));
}

const toDots = (series: readonly TraceSeries[]): Dot[] =>
  series.flatMap((s) =>
    s.exemplars
      .filter((e) => e.traceId && Number.isFinite(e.value))
      .map((e) => ({ ms: e.ms, value: e.value, id: e.traceId, labels: e.labels })),
  );

export const unitOf = (query: string) =>
  /(quantile|avg|min|max|sum|histogram)_over_time\(\s*(trace)?[dD]uration/.test(query)
    ? "s"
    : /\|\s*rate\(/.test(query)
      ? "/s"
      : undefined;

interface Props {
  query: string;
  height?: number;
  title?: string;
  style?: Style;
  marks?: readonly Mark[];
  /** Names in the head instead of a table below. */
  bare?: boolean;
  /** Of a single series. */
  color?: string;
  name?: (labels: Labels) => string;
}

const inHead = 4;
const nothing: TraceSeries[] = [];

export function TraceMetric({ query, height = 320, title, style = "line", marks, bare = false, color, name }: Props) {
  const { range, zoomTo } = useRange();
  const step = chooseStep(range, bare ? 100 : 200);
  const [hidden, setHidden] = useState<ReadonlySet<number>>(new Set());
  const host = useRef<HTMLElement>(null);
  const key = ["trace-metric", query, range.fromMs, range.toMs, step];
  const q = useQuery({
    queryKey: key,
    queryFn: ({ signal }) => traceMetrics(query, range, step, signal),
    placeholderData: keepPreviousData,
  });
  const run = useRun({ key, q });
  const data = q.data?.series ?? nothing;
  const heat = /histogram_over_time\(/.test(query);
  // biome-ignore lint/correctness/useExhaustiveDependencies: a name is made of labels alone
  const lines = useMemo(() => {
    const all = toLines(data).map((l, i) => (name ? { ...l, name: name(data[i]!.labels) } : l));
    return color && all.length === 1 ? [{ ...all[0]!, color }] : all;
  }, [data, color]);
  const dots = useMemo(() => toDots(data), [data]);
  return (
    <section className="panel" ref={host} aria-label={title ?? "Chart"}>
      {title && (
        <header>
          <h3>{title}</h3>
          <span className="push row small muted cut">
            {lines.length > 1 && lines.length <= inHead
              ? lines.map((l) => (
                  <span key={l.name} className="row" style={{ gap: 4 }}>
                    <i className="swatch" style={{ background: l.color }} aria-hidden />
                    <bdi className="cut">{l.name}</bdi>
                  </span>
                ))
              : lines.length > 1 && plural(lines.length, "series", "series")}
          </span>
        </header>
      )}
      <Progress run={run} chip={bare} />
      <ErrorNotice error={q.error} retry={() => void q.refetch()} />
      {q.isSuccess && lines.length === 0 ? (
        bare ? (
          <p className="muted body" style={{ minHeight: height + 24 }}>
            None in this range.
          </p>
        ) : (
          <Empty title="No spans matched in this range" />
        )
      ) : (
        <div className="body">
          {heat ? (
            <Heatmap
              data={toHeat(
                data.map((s) => ({ bound: Number(s.labels.__bucket), points: s.points })),
                step * 1000,
              )}
              range={range}
              format={(v) => duration(v * 1e9)}
              label={query}
              height={height}
            />
          ) : (
            <TimeChart
              label={query}
              lines={lines}
              dots={dots}
              {...(marks ? { marks } : {})}
              range={range}
              stepMs={step * 1000}
              unit={unitOf(query)}
              hidden={hidden}
              onZoom={zoomTo}
              height={height}
              style={style}
            />
          )}
          {!bare && (
            <div className="cost">
              <span>{plural(lines.length, "series", "series")}</span>
              <span>step {step} s</span>
              <Cost run={run} spent={q.data?.spent} />
              <span className="push">
                <ShareMenu
                  small
                  data={{
                    name: "trace-numbers",
                    title: query,
                    canvas: () => host.current?.querySelector("canvas"),
                    legend: () => (heat ? [] : lines),
                    json: () => data.map((s) => ({ query, labels: s.labels, points: s.points })),
                    ndjson: () => data.map((s) => ({ query, labels: s.labels, points: s.points })),
                    table: () => ({
                      header: ["series", "time", "value"],
                      rows: lines.flatMap((l) => l.points.map(([t, v]) => [l.name, new Date(t).toISOString(), v])),
                    }),
                  }}
                />
              </span>
            </div>
          )}
          {!heat && !bare && lines.length > 1 && (
            <Legend lines={lines} hidden={hidden} onHidden={setHidden} unit={unitOf(query)} />
          )}
        </div>
      )}
    </section>
  );
}
