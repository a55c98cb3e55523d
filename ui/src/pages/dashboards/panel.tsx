/** One panel over any query. */
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { SquareArrowOutUpRight } from "lucide-react";
import { type ReactNode, useEffect, useState } from "react";
import { logSpent, queryLogMetric, queryLogs } from "@/api/loki";
import { type Labels, query as instant } from "@/api/prom";
import { searchTraces, traceMetrics } from "@/api/tempo";
import { byUnit, durationMs, guessUnit, type Spent, spentText, unitOfBuckets } from "@/lib/format";
import { interpolate, type Panel } from "@/lib/dashboards";
import { isLogQuery } from "@/lib/logql";
import { distinguishing, seriesVar, shortName } from "@/lib/series";
import { chooseStep, nsToMs } from "@/lib/time";
import { isTraceMetric } from "@/lib/traceql";
import { type Line, type Style, TimeChart } from "@/parts/chart";
import { ErrorNotice, Warnings } from "@/parts/feedback";
import { Heatmap, toHeat } from "@/parts/heatmap";
import { Legend } from "@/parts/legend";
import { Progress, useRun } from "@/parts/progress";
import { RequestLink, Service, Time } from "@/parts/show";
import { Spark } from "@/parts/spark";
import { Table } from "@/parts/table";
import type { Language } from "@/parts/editor";
import { A, href } from "@/shell/url";
import { LogList } from "@/pages/logs/list";
import { unitOf } from "@/pages/traces/metric";
import { useMetricLines } from "@/pages/metrics/use-metrics";
import { useRange } from "@/shell/range";

interface Props {
  panel: Panel;
  values: Readonly<Record<string, string>>;
  height: number;
  header?: ReactNode;
  /** A row that can be folded. */
  folded?: boolean;
  onFold?: () => void;
}

const pages: Record<Language, string> = {
  promql: "/explore/metrics",
  logql: "/explore/logs",
  traceql: "/explore/traces",
};

const headPx = 34;

export function PanelView({ panel: p, values, height, header, folded = false, onFold }: Props) {
  const { range, carry } = useRange();
  const [spent, setSpent] = useState<Spent>();
  const step = chooseStep(range, 200);
  const ask = (expr: string) => interpolate(expr, values, step, (range.toMs - range.fromMs) / 1000);
  // A title says the values, not the expression that they are in a query.
  const readable = Object.fromEntries(
    Object.entries(values).map(([k, v]) => [
      k,
      v === ".*"
        ? "all"
        : v
            .replace(/^\((.*)\)$/, "$1")
            .replaceAll("|", ", ")
            .replaceAll("\\", ""),
    ]),
  );
  const titled = (title: string) => interpolate(title, readable, step, (range.toMs - range.fromMs) / 1000);
  if (p.type === "row")
    return (
      <div className="row" style={{ height: 30 }}>
        <h2>
          {onFold ? (
            <button type="button" className="value" aria-expanded={!folded} onClick={onFold}>
              {folded ? "▸" : "▾"} {titled(p.title)}
            </button>
          ) : (
            titled(p.title)
          )}
        </h2>
        {header}
      </div>
    );
  const inner = Math.max(40, height - headPx - 10);
  const queries = p.queries.map((q) => ({ ...q, expr: ask(q.expr) }));
  const first = queries[0];
  return (
    <section
      className="panel"
      style={{ height: "100%", display: "flex", flexDirection: "column", overflow: "hidden" }}
      aria-label={p.title || "Panel"}
    >
      {(p.title || header || p.type !== "text") && (
        <header style={{ minHeight: headPx, padding: "2px 8px 2px 12px" }}>
          <h3 className="cut grow">
            <bdi>{titled(p.title)}</bdi>
          </h3>
          {spent && !header && (
            <span className="faint small num nowrap" title={spentText(spent)}>
              {durationMs(spent.ms)}
            </span>
          )}
          {header ??
            (first?.expr && (
              <A
                className="btn small ghost icon"
                aria-label={`Explore ${p.title || "panel"}`}
                title="Explore this query (shift: beside)"
                to={href(pages[first.language], {
                  ...carry,
                  q: first.expr,
                  ...(first.language === "promql"
                    ? {
                        q2: queries[1]?.expr,
                        q3: queries[2]?.expr,
                        unit: p.unit,
                        style: p.type === "area" || p.type === "bar" ? p.type : undefined,
                      }
                    : {}),
                })}
              >
                <SquareArrowOutUpRight size={12} />
              </A>
            ))}
        </header>
      )}
      {p.type === "text" ? (
        <div className="body scroll" style={{ whiteSpace: "pre-wrap" }}>
          {p.text}
        </div>
      ) : !first?.expr ? (
        <p className="body muted">This panel has no query.</p>
      ) : p.type === "logs" ? (
        <LogsPanel expr={first.expr} onSpent={setSpent} />
      ) : p.type === "traces" ? (
        <TracesPanel expr={first.expr} onSpent={setSpent} />
      ) : first.language === "promql" ? (
        <PromPanel panel={p} queries={queries} height={inner} onSpent={setSpent} />
      ) : (
        <OtherPanel
          panel={p}
          expr={first.expr}
          language={first.language}
          legend={first.legend}
          height={inner}
          onSpent={setSpent}
        />
      )}
    </section>
  );
}

/** Tells the head of the panel what its queries took. */
type OnSpent = (s: Spent | undefined) => void;

function useSpent(spent: Spent | undefined, onSpent: OnSpent) {
  const text = spent && spentText(spent);
  // biome-ignore lint/correctness/useExhaustiveDependencies: what reads the same is the same
  useEffect(() => onSpent(spent), [text, onSpent]);
}

function PromPanel({
  panel: p,
  queries,
  height,
  onSpent,
}: {
  panel: Panel;
  queries: { expr: string; legend?: string }[];
  height: number;
  onSpent: OnSpent;
}) {
  const { range } = useRange();
  const m = useMetricLines(
    queries.map((q, i) => ({ slot: "abcdefgh"[i] ?? "h", query: q.expr, ...(q.legend ? { legend: q.legend } : {}) })),
    range,
  );
  const run = useRun(...m.asked);
  useSpent(m.spent, onSpent);
  const lines = m.lines.map((l) => ({ ...l, name: queries.length > 1 ? l.name.replace(/^\$\w /, "") : l.name }));
  return (
    <>
      {p.type !== "table" && <Progress run={run} />}
      {m.errors.slice(0, 1).map((e) => (
        <ErrorNotice key={e.slot} error={e.error} retry={e.retry} />
      ))}
      <Warnings list={m.warnings} />
      {p.type === "table" ? (
        <TablePanel expr={queries[0]!.expr} />
      ) : (
        <Drawn
          panel={p}
          lines={lines}
          labels={m.lines.map((l) => l.labels)}
          step={m.step}
          height={height}
          unit={p.unit ?? guessUnit(queries[0]?.expr ?? "")}
        />
      )}
    </>
  );
}

function OtherPanel({
  panel,
  expr,
  language,
  legend,
  height,
  onSpent,
}: {
  panel: Panel;
  expr: string;
  language: "logql" | "traceql";
  legend: string | undefined;
  height: number;
  onSpent: OnSpent;
}) {
  if (language === "logql" && isLogQuery(expr)) return <LogsPanel expr={expr} onSpent={onSpent} />;
  if (language === "traceql" && !isTraceMetric(expr)) return <TracesPanel expr={expr} onSpent={onSpent} />;
  return (
    <NumbersPanel panel={panel} expr={expr} language={language} legend={legend} height={height} onSpent={onSpent} />
  );
}

function NumbersPanel({
  panel,
  expr,
  language,
  legend,
  height,
  onSpent,
}: {
  panel: Panel;
  expr: string;
  language: "logql" | "traceql";
  legend: string | undefined;
  height: number;
  onSpent: OnSpent;
}) {
  const { range } = useRange();
  const step = chooseStep(range, 200);
  const key = ["panel", language, expr, range.fromMs, range.toMs];
  const q = useQuery({
    queryKey: key,
    queryFn: async ({
      signal,
    }): Promise<{ series: { labels: Labels; points: [number, number][] }[]; spent: Spent }> => {
      if (language === "traceql") return traceMetrics(expr, range, step, signal);
      const a = await queryLogMetric(expr, range, step, signal);
      const series = a.data.map((s) => ({
        labels: s.metric,
        points: (s.values ?? []).map(([t, v]): [number, number] => [t * 1000, Number(v)]),
      }));
      return { series, spent: a.spent };
    },
    placeholderData: keepPreviousData,
  });
  const run = useRun({ key, q });
  useSpent(q.data?.spent, onSpent);
  const data = q.data?.series ?? [];
  const keys = distinguishing(data.map((d) => d.labels));
  const lines = data.map((d, i) => ({
    name: legend
      ? legend.replace(/\{\{\s*([\w.]+)\s*\}\}/g, (_, k: string) => d.labels[k] ?? "")
      : shortName(d.labels, keys),
    color: seriesVar(i),
    points: d.points,
  }));
  return (
    <>
      <Progress run={run} />
      <ErrorNotice error={q.error} retry={() => void q.refetch()} />
      <Drawn
        panel={panel}
        lines={lines}
        labels={data.map((d) => d.labels)}
        step={step}
        height={height}
        unit={panel.unit ?? (language === "traceql" ? unitOf(expr) : undefined)}
      />
    </>
  );
}

function Drawn({
  panel: p,
  lines,
  labels,
  step,
  height,
  unit,
}: {
  panel: Panel;
  lines: readonly Line[];
  labels: readonly Record<string, string>[];
  step: number;
  height: number;
  unit: string | undefined;
}) {
  const { range, zoomTo } = useRange();
  const [hidden, setHidden] = useState<ReadonlySet<number>>(new Set());
  if (p.type === "stat")
    return (
      <div className="row wrap" style={{ padding: 12, gap: 24, overflow: "hidden" }}>
        {lines.slice(0, 6).map((l, i) => (
          <div key={i}>
            <div style={{ fontSize: height > 120 ? 28 : 20, fontWeight: 600 }}>
              {byUnit(l.points.at(-1)?.[1] ?? Number.NaN, unit)}
            </div>
            {lines.length > 1 && <div className="muted small cut">{l.name}</div>}
            {height > 110 && <Spark points={l.points} width={130} height={26} />}
          </div>
        ))}
      </div>
    );
  if (p.type === "heatmap") {
    const bound = (l: Record<string, string>) =>
      Number(l.le === "+Inf" ? Number.POSITIVE_INFINITY : (l.le ?? l.__bucket));
    return (
      <div style={{ padding: 6 }}>
        <Heatmap
          data={toHeat(
            lines.map((l, i) => ({ bound: bound(labels[i] ?? {}), points: l.points })),
            step * 1000,
          )}
          range={range}
          height={height - 8}
          format={(v) => byUnit(v, p.unit ?? unitOfBuckets(p.queries[0]?.expr ?? ""))}
          label={p.title}
        />
      </div>
    );
  }
  const legend = lines.length > 1 && height > 170;
  return (
    <div style={{ padding: "4px 8px", overflow: "hidden" }}>
      <TimeChart
        label={p.title}
        lines={lines}
        range={range}
        stepMs={step * 1000}
        unit={unit}
        style={(p.type === "table" ? "line" : p.type) as Style}
        hidden={hidden}
        height={legend ? height - 78 : height - 6}
        onZoom={zoomTo}
      />
      {legend && (
        <div style={{ height: 72, overflow: "auto" }}>
          <Legend lines={lines} hidden={hidden} onHidden={setHidden} unit={unit} />
        </div>
      )}
    </div>
  );
}

function TablePanel({ expr }: { expr: string }) {
  const { range } = useRange();
  const key = ["instant", expr, range.toMs];
  const q = useQuery({
    queryKey: key,
    queryFn: ({ signal }) => instant(expr, range.toMs, signal),
    placeholderData: keepPreviousData,
  });
  const run = useRun({ key, q });
  const rows = q.data?.data.resultType === "vector" ? q.data.data.result : [];
  const keys = [...new Set(rows.flatMap((r) => Object.keys(r.metric)))].filter((k) => k !== "__name__").slice(0, 8);
  const value = (r: (typeof rows)[number]) => Number(r.value?.[1] ?? Number.NaN);
  return (
    <div className="scroll">
      <Progress run={run} />
      <ErrorNotice error={q.error} retry={() => void q.refetch()} />
      <Table
        label={expr}
        rows={rows}
        rowKey={(r) => JSON.stringify(r.metric)}
        initial={{ id: "value", desc: true }}
        columns={[
          ...keys.map((k) => ({
            id: k,
            head: k,
            cell: (r: (typeof rows)[number]) => <bdi>{r.metric[k]}</bdi>,
            sort: (r: (typeof rows)[number]) => r.metric[k] ?? "",
          })),
          { id: "value", head: "Value", num: true, cell: (r) => byUnit(value(r), guessUnit(expr)), sort: value },
        ]}
      />
    </div>
  );
}

function LogsPanel({ expr, onSpent }: { expr: string; onSpent: OnSpent }) {
  const { range } = useRange();
  const key = ["panel-logs", expr, range.fromMs, range.toMs];
  const q = useQuery({
    queryKey: key,
    queryFn: ({ signal }) => queryLogs(expr, range, 200, "backward", signal),
    placeholderData: keepPreviousData,
  });
  const run = useRun({ key, q });
  useSpent(q.data && logSpent([q.data]), onSpent);
  return (
    <>
      <Progress run={run} />
      <ErrorNotice error={q.error} retry={() => void q.refetch()} />
      <Warnings list={q.data?.warnings} />
      <LogList lines={q.data?.lines ?? []} columns={[]} />
    </>
  );
}

function TracesPanel({ expr, onSpent }: { expr: string; onSpent: OnSpent }) {
  const { range } = useRange();
  const key = ["panel-traces", expr, range.fromMs, range.toMs];
  const q = useQuery({
    queryKey: key,
    queryFn: ({ signal }) => searchTraces(expr, range, 50, signal),
    placeholderData: keepPreviousData,
  });
  const run = useRun({ key, q });
  useSpent(q.data?.spent, onSpent);
  return (
    <div className="scroll">
      <Progress run={run} />
      <ErrorNotice error={q.error} retry={() => void q.refetch()} />
      <Table
        label={expr}
        rows={q.data?.traces ?? []}
        rowKey={(t) => t.traceID}
        columns={[
          {
            id: "t",
            head: "Start",
            cell: (t) => <Time ms={nsToMs(t.startTimeUnixNano)} />,
            sort: (t) => nsToMs(t.startTimeUnixNano),
          },
          {
            id: "s",
            head: "Service",
            cell: (t) => <Service name={t.rootServiceName ?? ""} />,
            sort: (t) => t.rootServiceName ?? "",
          },
          {
            id: "n",
            head: "Request",
            grow: true,
            cell: (t) => <bdi>{t.rootTraceName}</bdi>,
            sort: (t) => t.rootTraceName ?? "",
          },
          {
            id: "d",
            head: "Duration",
            num: true,
            cell: (t) => durationMs(t.durationMs ?? 0),
            sort: (t) => t.durationMs ?? 0,
          },
          { id: "i", head: "", cell: (t) => <RequestLink id={t.traceID} /> },
        ]}
      />
    </div>
  );
}
