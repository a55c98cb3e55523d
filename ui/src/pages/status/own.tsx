/** Braid's own metrics: what comes in, what is refused, what it costs, who sends it. */
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { getJSON } from "@/api/http";
import { byUnit, bytes, percent } from "@/lib/format";
import { msToNs } from "@/lib/time";
import { TimeChart } from "@/parts/chart";
import { ErrorNotice, Loading } from "@/parts/feedback";
import { Legend } from "@/parts/legend";
import { Service } from "@/parts/show";
import { Table } from "@/parts/table";
import { useMetricLines } from "@/pages/metrics/use-metrics";
import { useRange } from "@/shell/range";
import { A, href } from "@/shell/url";

const charts: { title: string; expr: string; unit?: string }[] = [
  {
    title: "Records, spans and points taken or refused",
    expr: "sum by (signal, result) (rate(braid_ingest_items_total[1m]))",
    unit: "/s",
  },
  { title: "Bytes received", expr: "sum by (signal) (rate(braid_ingest_received_bytes_total[1m]))", unit: "By/s" },
  { title: "Requests by answer", expr: "sum by (signal, code) (rate(braid_ingest_requests_total[1m]))", unit: "/s" },
  {
    title: "Time to acknowledge, 99th percentile",
    expr: "histogram_quantile(0.99, sum by (le, signal) (rate(braid_ingest_request_seconds_bucket[1m])))",
    unit: "s",
  },
  {
    title: "Time of a query, 95th percentile",
    expr: "histogram_quantile(0.95, sum by (le, language) (rate(braid_query_duration_seconds_bucket[5m])))",
    unit: "s",
  },
  { title: "Memory", expr: "process_resident_memory_bytes", unit: "By" },
  { title: "CPU", expr: "rate(process_cpu_seconds_total[1m])" },
  {
    title: "Time of a sync to disk, 99th percentile",
    expr: "histogram_quantile(0.99, sum by (le) (rate(braid_ingest_log_sync_seconds_bucket[1m])))",
    unit: "s",
  },
];

export function OwnMetrics() {
  return (
    <div className="col" style={{ paddingTop: 10 }}>
      <div style={{ display: "grid", gridTemplateColumns: "repeat(auto-fit, minmax(420px, 1fr))", gap: 12 }}>
        {charts.map((c) => (
          <Own key={c.title} {...c} />
        ))}
      </div>
      <LogVolume />
    </div>
  );
}

function Own({ title, expr, unit }: { title: string; expr: string; unit?: string }) {
  const { range, zoomTo, carry } = useRange();
  const [hidden, setHidden] = useState<ReadonlySet<number>>(new Set());
  const m = useMetricLines([{ slot: "a", query: expr }], range);
  return (
    <section className="panel">
      <header>
        <h3>{title}</h3>
        <A className="push small" to={href("/explore/metrics", { ...carry, q: expr })}>
          open
        </A>
      </header>
      <Loading on={m.fetching} />
      {m.errors.map((e) => (
        <ErrorNotice key={e.slot} error={e.error} />
      ))}
      <div className="body">
        {m.done && m.lines.length === 0 ? (
          <p className="muted" style={{ height: 160 }}>
            No data yet: Braid records its own metrics once a minute, when self-observation is on.
          </p>
        ) : (
          <>
            <TimeChart
              label={title}
              lines={m.lines}
              range={range}
              stepMs={m.step * 1000}
              unit={unit}
              hidden={hidden}
              height={160}
              onZoom={zoomTo}
            />
            {m.lines.length > 1 && <Legend lines={m.lines} hidden={hidden} onHidden={setHidden} unit={unit} />}
            {m.lines.length === 1 && (
              <p className="num muted small">{byUnit(m.lines[0]?.points.at(-1)?.[1] ?? Number.NaN, unit)} now</p>
            )}
          </>
        )}
      </div>
    </section>
  );
}

interface Volume {
  data?: { result?: { metric: Record<string, string>; value: [number, string] }[] };
}

function LogVolume() {
  const { range, carry } = useRange();
  const q = useQuery({
    queryKey: ["log-bytes", range.fromMs, range.toMs],
    queryFn: ({ signal }) =>
      getJSON<Volume>(
        "/loki/api/v1/index/volume",
        {
          query: '{service_name=~".+"}',
          start: msToNs(range.fromMs),
          end: msToNs(range.toMs),
          limit: 200,
          targetLabels: "service_name",
        },
        signal,
      ),
  });
  const rows = (q.data?.data?.result ?? []).map((r) => ({
    name: r.metric.service_name ?? "",
    value: Number(r.value[1]),
  }));
  const total = rows.reduce((n, r) => n + r.value, 0);
  return (
    <section className="panel scroll">
      <header>
        <h3>Bytes of logs by service in this range</h3>
      </header>
      <Loading on={q.isFetching} />
      <ErrorNotice error={q.error} />
      <Table
        label="Bytes of logs by service"
        rows={rows}
        rowKey={(r) => r.name}
        initial={{ id: "bytes", desc: true }}
        columns={[
          {
            id: "name",
            head: "Service",
            cell: (r) => (
              <A to={href("/explore/logs", { ...carry, q: `{service_name=${JSON.stringify(r.name)}}` })}>
                <Service name={r.name} />
              </A>
            ),
            sort: (r) => r.name,
          },
          {
            id: "bar",
            head: "",
            cell: (r) => (
              <div className="bar" style={{ width: 200 }}>
                <i style={{ width: `${total ? (r.value / total) * 100 : 0}%` }} />
              </div>
            ),
          },
          {
            id: "share",
            head: "Share",
            num: true,
            cell: (r) => percent(total ? r.value / total : 0),
            sort: (r) => r.value,
          },
          { id: "bytes", head: "Bytes", num: true, cell: (r) => bytes(r.value), sort: (r) => r.value },
        ]}
      />
    </section>
  );
}
