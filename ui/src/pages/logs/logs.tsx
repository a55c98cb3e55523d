/** Logs: a query, how many match when, and the records. */
import { hashKey } from "@tanstack/react-query";
import { ArrowDownWideNarrow, BellPlus, PanelLeft, Play, Radio, Square, WrapText } from "lucide-react";
import { useCallback, useEffect, useMemo, useState } from "react";
import { logParams, logSpent } from "@/api/loki";
import { count, plural, whole } from "@/lib/format";
import { addFilter, allLogs, countable, isLogQuery, searchedTexts } from "@/lib/logql";
import { settings, useSettings } from "@/lib/settings";
import { AddToDashboard } from "@/parts/add-to-dashboard";
import { QueryEditor } from "@/parts/editor";
import { Empty, ErrorNotice, Warnings } from "@/parts/feedback";
import { Histogram } from "@/parts/histogram";
import { HowToSend } from "@/parts/how-to-send";
import { ShareMenu } from "@/parts/menus";
import { Tabs } from "@/parts/overlay";
import { Notes } from "@/parts/notes";
import { Cost, Progress } from "@/parts/progress";
import { SavedMenu, useRemember } from "@/parts/saved";
import { ValueActions } from "@/parts/value";
import { useRange } from "@/shell/range";
import { useTitle } from "@/shell/shell";
import { useShortcuts } from "@/shell/shortcuts";
import { A, href, useGo, useParams } from "@/shell/url";
import { LogList } from "./list";
import { ColumnMenu } from "./columns";
import { LogMetric } from "./metric";
import { Patterns } from "./patterns";
import { FieldRail } from "./rail";
import { LiveTail } from "./tail";
import { pageSize, useLogPages, useVolume } from "./use-logs";

const noNeedles: string[] = [];

export default function LogsPage() {
  const [params, setParams] = useParams();
  const { range, zoomTo, carry } = useRange();
  const go = useGo();
  const query = params.q ?? allLogs;
  const [text, setText] = useState(query);
  useEffect(() => setText(query), [query]);
  const live = params.live === "on";
  const newest = params.order !== "oldest";
  const rail = params.rail !== "off";
  const view = params.view ?? "records";
  const isLog = isLogQuery(query);
  const columns = useMemo(() => (params.cols ? params.cols.split(",") : []), [params.cols]);
  const needles = useMemo(() => (isLog ? searchedTexts(query) : noNeedles), [isLog, query]);
  useTitle("Logs");
  useRemember("logs", query);

  const run = useCallback(
    (q: string) => setParams({ q: q.trim() === allLogs ? undefined : q.trim() || undefined }),
    [setParams],
  );
  const filter = useCallback(
    (field: string, op: "=" | "!=", value: string) => run(addFilter(query, field, op, value, ["service_name"])),
    [query, run],
  );
  const actions = useMemo(
    () => ({
      include: (f: string, v: string) => filter(f, "=", v),
      exclude: (f: string, v: string) => filter(f, "!=", v),
      groupBy: (f: string) =>
        go(
          href("/explore/logs", {
            ...carry,
            q: `sum by (${f.replace(/\W/g, "_")}) (count_over_time(${countable(query)} [1m]))`,
          }),
        ),
    }),
    [filter, go, carry, query],
  );
  useShortcuts([
    { keys: "l", what: "Follow live", run: () => setParams({ live: live ? undefined : "on" }) },
    { keys: "w", what: "Wrap long lines", run: () => settings.set({ wrap: !settings.get().wrap }) },
    {
      keys: "f",
      what: "Find a field",
      run: () => document.querySelector<HTMLInputElement>('[data-shortcut="fields"]')?.focus(),
    },
  ]);

  return (
    <div className="page fill">
      <div className="page-head">
        <h1>Logs</h1>
        <div className="push row">
          {isLog && <Notes />}
          <A
            className="btn"
            aria-label="Make alert"
            to={href("/alerting", {
              ...carry,
              tab: "make",
              lang: "logql",
              expr: isLog ? `sum by (service_name) (count_over_time(${countable(query)} [5m]))` : query,
            })}
          >
            <BellPlus size={14} /> <span className="hide-narrow">Make alert</span>
          </A>
          <AddToDashboard type={isLog ? "logs" : "line"} queries={[{ language: "logql", expr: query }]} />
          <SavedMenu page="logs" query={query} onPick={run} />
          <ShareMenu
            data={{
              name: "logs",
              call: {
                path: "/loki/api/v1/query_range",
                params: logParams(query, range, pageSize, newest ? "backward" : "forward"),
              },
            }}
          />
        </div>
      </div>
      <div className="query-bar">
        <QueryEditor
          language="logql"
          label="LogQL query"
          value={text}
          onChange={setText}
          onRun={run}
          placeholder='{service_name="checkout"} |= "refused"'
        />
        <button type="button" className="btn primary" onClick={() => run(text)}>
          <Play size={14} /> Run
        </button>
        <button
          type="button"
          className="btn"
          aria-pressed={live}
          disabled={!isLog}
          onClick={() => setParams({ live: live ? undefined : "on" })}
          title="Follow new records  l"
        >
          {live ? <Square size={13} /> : <Radio size={14} />} Live
        </button>
      </div>
      <ValueActions value={actions}>
        {!isLog ? (
          <LogMetric query={query} />
        ) : live ? (
          <LiveTail query={query} columns={columns} needles={needles} />
        ) : (
          <div className="explore" data-rail={rail ? "on" : "off"}>
            {rail && (
              <FieldRail
                query={query}
                columns={columns}
                onColumns={(c) => setParams({ cols: c.join(",") || undefined }, true)}
                onFilter={filter}
              />
            )}
            <div className="col" style={{ minHeight: 0 }}>
              <Volume query={query} onZoom={zoomTo} />
              <Tabs
                label="Records or patterns"
                fill
                value={view}
                onChange={(v) => setParams({ view: v === "records" ? undefined : v })}
                tabs={[
                  {
                    id: "records",
                    label: "Records",
                    content: <Records query={query} newest={newest} columns={columns} needles={needles} />,
                  },
                  { id: "patterns", label: "Patterns", content: <Patterns query={query} onQuery={run} /> },
                ]}
              />
            </div>
          </div>
        )}
      </ValueActions>
    </div>
  );
}

function Volume({ query, onZoom }: { query: string; onZoom: (a: number, b: number) => void }) {
  const { range } = useRange();
  const v = useVolume(query, range);
  return (
    <section className="panel" aria-label="Records over time">
      <Progress run={v.run} chip={false} />
      <ErrorNotice error={v.q.error} retry={() => void v.q.refetch()} />
      <Warnings list={v.q.data?.warnings} />
      <div style={{ padding: "6px 10px 2px" }}>
        <Histogram
          stacks={v.stacks}
          range={range}
          startMs={v.startMs}
          stepMs={v.stepMs}
          buckets={v.buckets}
          onZoom={onZoom}
          label={`${count(v.total)} records over time by severity`}
        />
      </div>
      <div className="cost" style={{ padding: "0 10px 5px" }}>
        <b style={{ color: "var(--text)" }}>{v.q.data ? plural(v.total, "record") : "…"}</b>
        {v.stacks.map((s) => (
          <span key={s.name} className="row" style={{ gap: 5 }}>
            <i className="swatch" style={{ background: s.color }} /> {s.name}{" "}
            {count(s.counts.reduce((a, b) => a + b, 0))}
          </span>
        ))}
        <span className="push">
          <Cost run={v.run} spent={v.q.data?.spent} />
        </span>
      </div>
    </section>
  );
}

function Records({
  query,
  newest,
  columns,
  needles,
}: {
  query: string;
  newest: boolean;
  columns: readonly string[];
  needles: readonly string[];
}) {
  const { range } = useRange();
  const [, setParams] = useParams();
  const { wrap } = useSettings();
  const { q, lines, key, run } = useLogPages(query, range, newest);
  const { hasNextPage, isFetching, fetchNextPage } = q;
  // Whoever ends the reading of a page wants no more of it, wherever the list stands.
  const [stoppedAt, setStopped] = useState("");
  const stopped = stoppedAt === hashKey(key) && q.isSuccess && !isFetching && hasNextPage;
  const more = useCallback(() => {
    if (hasNextPage && !isFetching && !stopped) void fetchNextPage();
  }, [hasNextPage, isFetching, stopped, fetchNextPage]);
  const stop = () => {
    setStopped(hashKey(key));
    run.cancel();
  };
  const goOn = () => {
    setStopped("");
    void fetchNextPage();
  };
  const pages = q.data?.pages ?? [];
  const empty = q.isSuccess && lines.length === 0;
  return (
    <div
      className="panel"
      style={{
        flex: 1,
        minHeight: 160,
        display: "flex",
        flexDirection: "column",
        borderTop: 0,
        borderRadius: "0 0 6px 6px",
      }}
    >
      <div className="cost" style={{ padding: "3px 10px" }}>
        <span>
          {whole(lines.length)} loaded
          {stopped ? ", cancelled before the next" : q.hasNextPage ? ", more by scrolling" : ""}
        </span>
        {stopped && (
          <button type="button" className="btn small" onClick={goOn}>
            Go on
          </button>
        )}
        <Cost run={{ ...run, cancel: stop }} spent={pages.length > 0 ? logSpent(pages) : undefined} />
        <span className="push row">
          <button
            type="button"
            className="btn small ghost"
            onClick={() => setParams({ order: newest ? "oldest" : undefined })}
          >
            <ArrowDownWideNarrow size={13} /> {newest ? "Newest first" : "Oldest first"}
          </button>
          <button
            type="button"
            className="btn small ghost"
            aria-pressed={wrap}
            onClick={() => settings.set({ wrap: !wrap })}
          >
            <WrapText size={13} /> Wrap
          </button>
          <button
            type="button"
            className="btn small ghost"
            onClick={() =>
              setParams(
                { rail: new URLSearchParams(window.location.search).get("rail") === "off" ? undefined : "off" },
                true,
              )
            }
          >
            <PanelLeft size={13} /> Fields
          </button>
          <ColumnMenu query={query} columns={columns} />
          <ShareMenu
            small
            data={{
              name: "logs",
              json: () => lines.map(({ key: _, ...l }) => l),
              ndjson: () => lines.map(({ key: _, ...l }) => l),
              table: () => ({
                header: ["time", "level", "service", ...columns, "trace_id", "line"],
                rows: lines.map((l) => [
                  new Date(l.ms).toISOString(),
                  l.level,
                  l.service,
                  ...columns.map((c) => l.fields[c] ?? l.labels[c] ?? ""),
                  l.traceId,
                  l.line,
                ]),
              }),
            }}
          />
        </span>
      </div>
      <Progress run={run} chip={false} />
      <ErrorNotice error={q.error} retry={() => void q.refetch()} />
      <Warnings list={[...new Set(pages.flatMap((p) => p.warnings))]} />
      {empty ? (
        query === allLogs ? (
          <HowToSend signal="logs" />
        ) : (
          <Empty title="No record matches in this range">
            <p>Widen the time range, take a condition away, or look at everything.</p>
            <p style={{ marginTop: 8 }}>
              <button type="button" className="btn" onClick={() => setParams({ q: undefined })}>
                Show all logs
              </button>
            </p>
          </Empty>
        )
      ) : (
        <LogList lines={lines} columns={columns} needles={needles} onEnd={more} context />
      )}
    </div>
  );
}
