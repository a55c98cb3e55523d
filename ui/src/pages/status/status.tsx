/** How Braid itself is: parts, ingest, storage, cardinality, queries. */
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { health, queries, type QueryLogEntry } from "@/api/native";
import { getJSON } from "@/api/http";
import { bytes, count, duration } from "@/lib/format";
import { nsToMs } from "@/lib/time";
import { ErrorNotice, Loading, Notice } from "@/parts/feedback";
import { Tabs } from "@/parts/overlay";
import { StateBadge, Time } from "@/parts/show";
import { Table } from "@/parts/table";
import { useRange } from "@/shell/range";
import { useTitle } from "@/shell/shell";
import { A, href, useParams } from "@/shell/url";
import { CardinalityTab } from "./cardinality";
import { OwnMetrics } from "./own";

export default function StatusPage() {
  const [params, setParams] = useParams();
  useTitle("Status");
  return (
    <div className="page">
      <div className="page-head">
        <h1>Status</h1>
      </div>
      <Tabs
        label="Status"
        value={params.tab ?? "health"}
        onChange={(t) => setParams({ tab: t === "health" ? undefined : t })}
        tabs={[
          { id: "health", label: "Health", content: <HealthTab /> },
          { id: "ingest", label: "Ingest and storage", content: <OwnMetrics /> },
          { id: "cardinality", label: "Cardinality", content: <CardinalityTab /> },
          { id: "queries", label: "Queries", content: <QueryLog /> },
          { id: "config", label: "Configuration", content: <Config /> },
        ]}
      />
    </div>
  );
}

function HealthTab() {
  const { nowMs } = useRange();
  const q = useQuery({
    queryKey: ["health", nowMs],
    queryFn: ({ signal }) => health(signal),
    refetchInterval: 10_000,
    placeholderData: keepPreviousData,
  });
  return (
    <div className="col" style={{ paddingTop: 10 }}>
      <Loading on={q.isFetching} />
      <ErrorNotice error={q.error} />
      {q.data && (
        <Notice kind={q.data.status === "healthy" ? "ok" : q.data.status === "degraded" ? "warn" : "error"}>
          Braid is <b>{q.data.status}</b>
          {q.data.state && q.data.state !== "ready" && `: ${q.data.state}`}
        </Notice>
      )}
      <section className="panel scroll">
        <Table
          label="Parts"
          rows={q.data?.list ?? []}
          rowKey={(p) => p.name}
          columns={[
            {
              id: "state",
              head: "State",
              width: "110px",
              cell: (p) => <StateBadge state={p.status} />,
              sort: (p) => p.status,
            },
            { id: "name", head: "Part", cell: (p) => <b>{p.name}</b>, sort: (p) => p.name },
            { id: "why", head: "Why", cell: (p) => p.reason ?? <span className="faint">works</span> },
            { id: "out", head: "The way out", cell: (p) => p.way_out ?? "" },
          ]}
        />
      </section>
    </div>
  );
}

const pageOf: Record<string, string> = {
  promql: "/explore/metrics",
  logql: "/explore/logs",
  traceql: "/explore/traces",
};

function QueryLog() {
  const q = useQuery({ queryKey: ["queries"], queryFn: ({ signal }) => queries(signal), refetchInterval: 3000 });
  const [params, setParams] = useParams();
  const find = (params.find ?? "").toLowerCase();
  const rows = (q.data?.queries ?? []).filter(
    (r) =>
      (!find || (r.text ?? "").toLowerCase().includes(find)) &&
      (!params.lang || (r.language ?? "").toLowerCase() === params.lang) &&
      (!params.state || params.state === (r.running ? "running" : r.error ? "failed" : "done")),
  );
  const languages = [...new Set((q.data?.queries ?? []).map((r) => (r.language ?? "").toLowerCase()))].sort();
  return (
    <div className="col" style={{ paddingTop: 10 }}>
      <ErrorNotice error={q.error} />
      <div className="row wrap">
        <input
          className="input"
          style={{ width: 280 }}
          placeholder="Find a query"
          aria-label="Find a query"
          value={params.find ?? ""}
          onChange={(e) => setParams({ find: e.target.value || undefined }, true)}
        />
        <select
          className="select"
          aria-label="Language"
          value={params.lang ?? ""}
          onChange={(e) => setParams({ lang: e.target.value || undefined }, true)}
        >
          <option value="">Any language</option>
          {languages.map((l) => (
            <option key={l}>{l}</option>
          ))}
        </select>
        <select
          className="select"
          aria-label="State"
          value={params.state ?? ""}
          onChange={(e) => setParams({ state: e.target.value || undefined }, true)}
        >
          <option value="">Any state</option>
          {["running", "done", "failed"].map((l) => (
            <option key={l}>{l}</option>
          ))}
        </select>
        <span className="muted small">
          {count(rows.length)} of {count(q.data?.queries?.length ?? 0)}, newest first kept
        </span>
      </div>
      <section className="panel scroll">
        <Table<QueryLogEntry>
          label="Queries"
          rows={rows}
          rowKey={(r, i) => r.id ?? String(i)}
          initial={{ id: "start", desc: true }}
          columns={[
            {
              id: "state",
              head: "State",
              cell: (r) =>
                r.running ? (
                  <span className="badge warn">running</span>
                ) : r.error ? (
                  <span className="badge error">failed</span>
                ) : (
                  <span className="badge ok">done</span>
                ),
              sort: (r) => (r.running ? 0 : 1),
            },
            {
              id: "start",
              head: "Started",
              cell: (r) => <Time ms={nsToMs(r.startedNs)} />,
              sort: (r) => nsToMs(r.startedNs),
            },
            { id: "lang", head: "Language", cell: (r) => r.language, sort: (r) => r.language ?? "" },
            {
              id: "text",
              head: "Query",
              cell: (r) => {
                const page = pageOf[(r.language ?? "").toLowerCase()];
                const text = (
                  <code>
                    <bdi>{(r.text ?? "").slice(0, 220)}</bdi>
                  </code>
                );
                return (
                  <>
                    {page ? <A to={href(page, { q: r.text })}>{text}</A> : text}
                    {r.error && <div className="t-error small">{r.error.slice(0, 200)}</div>}
                  </>
                );
              },
            },
            {
              id: "rows",
              head: "Rows",
              num: true,
              // Nothing is not zero: what PromQL reads is counted only where a limit is set on it.
              cell: (r) => (Number(r.cost?.rows ?? 0) ? count(Number(r.cost?.rows)) : ""),
              sort: (r) => Number(r.cost?.rows ?? 0),
            },
            {
              id: "bytes",
              head: "Read",
              num: true,
              cell: (r) => (Number(r.cost?.bytes ?? 0) ? bytes(Number(r.cost?.bytes)) : ""),
              sort: (r) => Number(r.cost?.bytes ?? 0),
            },
            {
              id: "time",
              head: "Took",
              num: true,
              cell: (r) => duration((r.seconds ?? 0) * 1e9),
              sort: (r) => r.seconds ?? 0,
            },
          ]}
        />
      </section>
    </div>
  );
}

function Config() {
  const q = useQuery({
    queryKey: ["config"],
    queryFn: ({ signal }) => getJSON<{ data?: { yaml?: string } }>("/api/v1/status/config", undefined, signal),
    retry: false,
  });
  const flags = useQuery({
    queryKey: ["flags"],
    queryFn: ({ signal }) => getJSON<{ data?: Record<string, string> }>("/api/v1/status/flags", undefined, signal),
    retry: false,
  });
  return (
    <div className="col" style={{ paddingTop: 10 }}>
      <ErrorNotice error={q.error} />
      {q.data?.data?.yaml && <pre className="code-block">{q.data.data.yaml}</pre>}
      {Object.keys(flags.data?.data ?? {}).length > 0 && (
        <section className="panel scroll">
          <Table
            label="Flags"
            rows={Object.entries(flags.data?.data ?? {})}
            rowKey={(r) => r[0]}
            columns={[
              { id: "k", head: "Flag", cell: (r) => <code>{r[0]}</code>, sort: (r) => r[0] },
              { id: "v", head: "Value", cell: (r) => <code>{r[1]}</code> },
            ]}
          />
        </section>
      )}
    </div>
  );
}
