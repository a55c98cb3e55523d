/** Braid's own metrics: what comes in, what is refused, what it costs, who sends it. */
import { useState } from "react";
import { byUnit } from "@/lib/format";
import { TimeChart } from "@/parts/chart";
import { ErrorNotice, Loading } from "@/parts/feedback";
import { Legend } from "@/parts/legend";
import { useMetricLines } from "@/pages/metrics/use-metrics";
import { useRange } from "@/shell/range";
import { A, href } from "@/shell/url";
import { ByService, DiskByPart } from "./storage";

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
      <div className="cards">
        {charts.map((c) => (
          <Own key={c.title} {...c} />
        ))}
      </div>
      <DiskByPart />
      <ByService />
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
