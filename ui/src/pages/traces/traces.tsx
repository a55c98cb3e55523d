/** Traces: search by form or TraceQL, latency as a heatmap, what is different, rate and errors by field. */
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { BellPlus, Play } from "lucide-react";
import { useCallback, useEffect, useMemo, useState } from "react";
import { anyText, numberParams, searchParams, searchTraces, type TraceSummary } from "@/api/tempo";
import { durationMs, plural } from "@/lib/format";
import { serviceColor } from "@/lib/series";
import { chooseStep, nsToMs } from "@/lib/time";
import { addCondition, condition, countable, isTraceMetric } from "@/lib/traceql";
import { AddToDashboard } from "@/parts/add-to-dashboard";
import { QueryEditor } from "@/parts/editor";
import { Empty, ErrorNotice } from "@/parts/feedback";
import { HowToSend } from "@/parts/how-to-send";
import { ShareMenu } from "@/parts/menus";
import { Menu, MenuHead, MenuItem, Tabs } from "@/parts/overlay";
import { Cost, Progress, useRun } from "@/parts/progress";
import { SavedMenu, useRemember } from "@/parts/saved";
import { RequestLink, Service, Time } from "@/parts/show";
import { type Column, Table } from "@/parts/table";
import { ValueActions } from "@/parts/value";
import { useRange } from "@/shell/range";
import { useTitle } from "@/shell/shell";
import { A, href, requestHref, useGo, useParams } from "@/shell/url";
import { Breakdown } from "./breakdown";
import { SearchForm } from "./form";
import { Latency } from "./latency";
import { TraceMetric } from "./metric";

const everything = "{ }";

export default function TracesPage() {
  const [params, setParams] = useParams();
  const { range } = useRange();
  const query = params.q ?? everything;
  const [text, setText] = useState(query);
  useEffect(() => setText(query), [query]);
  useTitle("Traces");
  useRemember("traces", query);
  const run = useCallback(
    (q: string) => setParams({ q: q.trim() === everything ? undefined : q.trim() || undefined, sel: undefined }),
    [setParams],
  );
  const actions = useMemo(
    () => ({
      include: (f: string, v: string, t?: string) => run(addCondition(query, condition(f, "=", v, t))),
      exclude: (f: string, v: string, t?: string) => run(addCondition(query, condition(f, "!=", v, t))),
      groupBy: (f: string) => setParams({ view: "breakdown", by: f }),
    }),
    [query, run, setParams],
  );
  const metric = isTraceMetric(query);
  const view = params.view ?? "list";
  return (
    <div className="page">
      <div className="page-head">
        <h1>Traces</h1>
        <div className="push row">
          <MakeAlert query={query} />
          <AddToDashboard type={metric ? "line" : "traces"} queries={[{ language: "traceql", expr: query }]} />
          <SavedMenu page="traces" query={query} onPick={run} />
          <ShareMenu
            data={{
              name: "traces",
              call: metric
                ? { path: "/api/metrics/query_range", params: numberParams(query, range, chooseStep(range, 200)) }
                : { path: "/api/search", params: searchParams(query, range, sizes[0]!) },
            }}
          />
        </div>
      </div>
      <div className="query-bar">
        <QueryEditor
          language="traceql"
          label="TraceQL query"
          value={text}
          onChange={setText}
          onRun={run}
          placeholder='{ resource.service.name = "checkout" && duration > 500ms }'
        />
        <button type="button" className="btn primary" onClick={() => run(text)}>
          <Play size={14} /> Run
        </button>
      </div>
      <ValueActions value={actions}>
        {metric ? (
          <TraceMetric query={query} />
        ) : (
          <>
            <SearchForm query={query} onQuery={run} />
            <Latency query={query} onQuery={run} />
            <Tabs
              label="What to show"
              value={view}
              onChange={(v) => setParams({ view: v === "list" ? undefined : v })}
              tabs={[
                { id: "list", label: "Traces", content: <TraceList query={query} /> },
                { id: "breakdown", label: "Rate, errors, duration", content: <Breakdown query={query} /> },
              ]}
            />
          </>
        )}
      </ValueActions>
    </div>
  );
}

/** What an alert can watch about the spans that a search matches. */
const watched: [label: string, fn: string][] = [
  ["Matching spans per second", "rate()"],
  ["… by service", "rate() by (resource.service.name)"],
  ["Matching spans in each minute", "count_over_time()"],
  ["Their duration, 95th percentile", "quantile_over_time(duration, 0.95)"],
];

/** An alert compares numbers: a search for traces is counted first. */
function MakeAlert({ query }: { query: string }) {
  const { carry } = useRange();
  const go = useGo();
  const to = (expr: string) => href("/alerting", { ...carry, tab: "make", lang: "traceql", expr });
  const face = (
    <>
      <BellPlus size={14} /> <span className="hide-narrow">Make alert</span>
    </>
  );
  if (isTraceMetric(query))
    return (
      <A className="btn" aria-label="Make alert" to={to(query)}>
        {face}
      </A>
    );
  return (
    <Menu
      trigger={
        <button type="button" className="btn" aria-label="Make alert">
          {face}
        </button>
      }
    >
      <MenuHead>Watch</MenuHead>
      {watched.map(([label, fn]) => (
        <MenuItem key={fn} onSelect={() => go(to(`${countable(query)} | ${fn}`))}>
          {label}
        </MenuItem>
      ))}
    </Menu>
  );
}

const sizes = [50, 200, 1000];

function counts(t: TraceSummary): { spans: number; errors: number; services: string[] } {
  const stats = Object.entries(t.serviceStats ?? {});
  return {
    spans: stats.reduce((n, [, s]) => n + (s.spanCount ?? 0), 0),
    errors: stats.reduce((n, [, s]) => n + (s.errorCount ?? 0), 0),
    services: stats.map(([k]) => k),
  };
}

const columnsOf = (query: string): Column<TraceSummary>[] => [
  {
    id: "start",
    head: "Start",
    cell: (t) => <Time ms={nsToMs(t.startTimeUnixNano)} />,
    sort: (t) => nsToMs(t.startTimeUnixNano),
    width: "190px",
  },
  {
    id: "service",
    head: "Service",
    cell: (t) => <Service name={t.rootServiceName || "root not received"} />,
    sort: (t) => t.rootServiceName ?? "",
  },
  {
    id: "name",
    head: "Request",
    grow: true,
    cell: (t) => (
      <A to={requestHref(t.traceID, { span: matched(t)[0]?.spanID })}>
        <bdi>{(t.rootTraceName || matched(t)[0]?.name || "(root span not received)").slice(0, 160)}</bdi>
      </A>
    ),
    sort: (t) => t.rootTraceName ?? "",
  },
  ...(query === everything
    ? []
    : [
        {
          id: "matched",
          head: "Matching spans",
          cell: (t: TraceSummary) => <Matched t={t} />,
        },
      ]),
  {
    id: "services",
    head: "Services",
    cell: (t) => (
      <span className="row" style={{ gap: 3 }} title={counts(t).services.join(", ")}>
        {counts(t)
          .services.slice(0, 10)
          .map((s) => (
            <i key={s} className="swatch" style={{ background: serviceColor(s) }} aria-hidden />
          ))}
        <span className="muted">{counts(t).services.length || ""}</span>
      </span>
    ),
    sort: (t) => counts(t).services.length,
  },
  { id: "spans", head: "Spans", num: true, cell: (t) => counts(t).spans || "", sort: (t) => counts(t).spans },
  {
    id: "errors",
    head: "Errors",
    num: true,
    cell: (t) => (counts(t).errors ? <span className="badge error">{counts(t).errors}</span> : ""),
    sort: (t) => counts(t).errors,
  },
  {
    id: "duration",
    head: "Duration",
    num: true,
    cell: (t) => durationMs(t.durationMs ?? 0),
    sort: (t) => t.durationMs ?? 0,
  },
  { id: "id", head: "Trace", cell: (t) => <RequestLink id={t.traceID} /> },
];

const matched = (t: TraceSummary) => (t.spanSets ?? (t.spanSet ? [t.spanSet] : [])).flatMap((s) => s.spans ?? []);

/** How many spans matched, what they are, and the attributes that the query selects. */
function Matched({ t }: { t: TraceSummary }) {
  const sets = t.spanSets ?? (t.spanSet ? [t.spanSet] : []);
  const n = sets.reduce((sum, x) => sum + (x.matched ?? x.spans?.length ?? 0), 0);
  if (!n) return null;
  const names = [...new Set(matched(t).map((s) => s.name))].slice(0, 2).join(", ").slice(0, 80);
  const fields = (matched(t)[0]?.attributes ?? [])
    .slice(0, 3)
    .map((a) => `${a.key}=${anyText(a.value).slice(0, 40)}`)
    .join(" ");
  return (
    <span className="muted cut" style={{ display: "block", maxWidth: 340 }}>
      {n} <bdi>{names}</bdi> {fields && <bdi className="mono">{fields}</bdi>}
    </span>
  );
}

export function TraceList({ query }: { query: string }) {
  const { range } = useRange();
  const [size, setSize] = useState(0);
  const limit = sizes[size] ?? sizes[0]!;
  const key = ["traces", query, range.fromMs, range.toMs, limit];
  const q = useQuery({
    queryKey: key,
    queryFn: ({ signal }) => searchTraces(query, range, limit, signal),
    placeholderData: keepPreviousData,
  });
  const columns = useMemo(() => columnsOf(query), [query]);
  const run = useRun({ key, q });
  const rows = q.data?.traces ?? [];
  return (
    <section className="panel">
      <div className="cost" style={{ padding: "3px 10px" }}>
        <span>
          {q.data
            ? `${plural(rows.length, "trace")}${rows.length >= limit ? " (more match)" : ""}`
            : run.running && "Searching"}
        </span>
        {rows.length >= limit && size < sizes.length - 1 && (
          <button type="button" className="btn small" onClick={() => setSize(size + 1)}>
            Up to {sizes[size + 1]}
          </button>
        )}
        <Cost run={run} spent={q.data?.spent} />
        <span className="push">
          <ShareMenu
            small
            data={{
              name: "traces",
              json: () => rows,
              ndjson: () => rows,
              table: () => ({
                header: ["trace_id", "start", "service", "name", "duration_ms", "spans", "errors"],
                rows: rows.map((t) => [
                  t.traceID,
                  new Date(nsToMs(t.startTimeUnixNano)).toISOString(),
                  t.rootServiceName ?? "",
                  t.rootTraceName ?? "",
                  t.durationMs ?? 0,
                  counts(t).spans,
                  counts(t).errors,
                ]),
              }),
            }}
          />
        </span>
      </div>
      <Progress run={run} chip={false} />
      <ErrorNotice error={q.error} retry={() => void q.refetch()} />
      {q.isSuccess && rows.length === 0 ? (
        query === everything ? (
          <HowToSend signal="traces" />
        ) : (
          <Empty title="No trace matches in this range">Widen the time range or take a condition away.</Empty>
        )
      ) : (
        <div className="scroll">
          <Table
            label="Traces"
            columns={columns}
            rows={rows}
            rowKey={(t) => t.traceID}
            initial={{ id: "start", desc: true }}
          />
        </div>
      )}
    </section>
  );
}
