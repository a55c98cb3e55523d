/** What lies on disk, by tenant and part; what each service sends of every signal. */
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { getJSON } from "@/api/http";
import { cardinality, storage } from "@/api/status";
import { traceMetrics } from "@/api/tempo";
import { bytes, count, percent, plural } from "@/lib/format";
import { msToNs } from "@/lib/time";
import { ErrorNotice, Loading } from "@/parts/feedback";
import { Service } from "@/parts/show";
import { Table } from "@/parts/table";
import { useRange } from "@/shell/range";
import { A, href } from "@/shell/url";

const names: Record<string, string> = {
  ingestlog: "ingest log",
  alerting: "alerts and rules",
  queries: "query log",
  spanmetrics: "metrics made of spans",
};

export function DiskByPart() {
  const q = useQuery({ queryKey: ["storage"], queryFn: ({ signal }) => storage(signal), refetchInterval: 30_000 });
  const rows = q.data ?? [];
  const total = rows.reduce((n, r) => n + r.bytes, 0);
  return (
    <section className="panel scroll" aria-label="On disk">
      <header>
        <h3>On disk</h3>
        <span className="muted">{q.data && bytes(total)}</span>
      </header>
      <Loading on={q.isFetching} />
      <ErrorNotice error={q.error} retry={() => void q.refetch()} />
      <Table
        label="Storage by tenant and signal"
        rows={rows}
        rowKey={(r) => `${r.part}/${r.tenant}`}
        initial={{ id: "bytes", desc: true }}
        columns={[
          { id: "part", head: "Part", grow: true, cell: (r) => names[r.part] ?? r.part, sort: (r) => r.part },
          {
            id: "tenant",
            head: "Tenant",
            cell: (r) => (r.tenant ? <bdi>{r.tenant}</bdi> : <span className="faint">shared</span>),
            sort: (r) => r.tenant ?? "",
          },
          { id: "bar", head: "", cell: (r) => <Bar share={total ? r.bytes / total : 0} /> },
          {
            id: "share",
            head: "Share",
            num: true,
            cell: (r) => percent(total ? r.bytes / total : 0),
            sort: (r) => r.bytes,
          },
          { id: "bytes", head: "Bytes", num: true, cell: (r) => bytes(r.bytes), sort: (r) => r.bytes },
          { id: "files", head: "Files", num: true, cell: (r) => count(r.files), sort: (r) => r.files },
        ]}
      />
    </section>
  );
}

const Bar = ({ share }: { share: number }) => (
  <div className="bar" style={{ width: 100 }}>
    <i style={{ width: `${share * 100}%` }} />
  </div>
);

interface Volume {
  data?: { result?: { metric: Record<string, string>; value: [number, string] }[] };
}

/** Bytes of logs, spans and series of each service in the range. Each signal may fail for itself. */
export function ByService() {
  const { range, carry } = useRange();
  const at = [range.fromMs, range.toMs];
  const seconds = Math.max(60, Math.ceil((range.toMs - range.fromMs) / 1000));
  const logs = useQuery({
    queryKey: ["log-bytes", ...at],
    queryFn: async ({ signal }) => {
      const p = {
        query: '{service_name=~".+"}',
        start: msToNs(range.fromMs),
        end: msToNs(range.toMs),
        limit: 200,
        targetLabels: "service_name",
      };
      const v = await getJSON<Volume>("/loki/api/v1/index/volume", p, signal);
      return new Map((v.data?.result ?? []).map((r) => [r.metric.service_name ?? "", Number(r.value[1])]));
    },
    placeholderData: keepPreviousData,
  });
  const spans = useQuery({
    queryKey: ["span-counts", ...at],
    queryFn: async ({ signal }) => {
      const q = "{ } | count_over_time() by (resource.service.name)";
      const list = (await traceMetrics(q, range, seconds, signal)).series;
      return new Map(
        list.map((s) => [Object.values(s.labels)[0] ?? "", s.points.reduce((n, p) => n + p[1], 0)] as const),
      );
    },
    placeholderData: keepPreviousData,
  });
  const series = useQuery({
    queryKey: ["series-by-service", ...at],
    queryFn: async ({ signal }) => {
      const c = await cardinality(
        { windowSeconds: Math.min(seconds, 31 * 86_400), endMs: range.toMs, limit: 200, label: "service_name" },
        signal,
      );
      return new Map((c.label_values ?? []).map((v) => [v.value, v.series]));
    },
    placeholderData: keepPreviousData,
    retry: false,
  });
  const services = [
    ...new Set([...(logs.data?.keys() ?? []), ...(spans.data?.keys() ?? []), ...(series.data?.keys() ?? [])]),
  ].filter((s) => s !== "" && s !== "nil");
  const of = (m: Map<string, number> | undefined, s: string) => m?.get(s) ?? 0;
  const max = Math.max(1, ...(logs.data?.values() ?? []));
  const maxSpans = Math.max(1, ...(spans.data?.values() ?? []));
  return (
    <section className="panel scroll" aria-label="By service">
      <header>
        <h3>By service, in this range</h3>
        <span className="muted small">{services.length > 0 && plural(services.length, "service")}</span>
      </header>
      <Loading on={logs.isFetching || spans.isFetching || series.isFetching} />
      <ErrorNotice error={logs.error ?? spans.error ?? series.error} />
      <Table
        label="Storage by service"
        rows={services}
        rowKey={(s) => s}
        initial={{ id: "logs", desc: true }}
        columns={[
          {
            id: "name",
            head: "Service",
            grow: true,
            cell: (s) => (
              <A to={href(`/service/${encodeURIComponent(s)}`, carry)}>
                <Service name={s} />
              </A>
            ),
            sort: (s) => s,
          },
          { id: "bar", head: "", cell: (s) => <Bar share={of(logs.data, s) / max} /> },
          {
            id: "logs",
            head: "Logs",
            num: true,
            cell: (s) => (
              <A to={href("/explore/logs", { ...carry, q: `{service_name=${JSON.stringify(s)}}` })}>
                {bytes(of(logs.data, s))}
              </A>
            ),
            sort: (s) => of(logs.data, s),
          },
          { id: "bar2", head: "", cell: (s) => <Bar share={of(spans.data, s) / maxSpans} /> },
          {
            id: "spans",
            head: "Spans",
            num: true,
            cell: (s) => (
              <A to={href("/explore/traces", { ...carry, q: `{ resource.service.name = ${JSON.stringify(s)} }` })}>
                {count(of(spans.data, s))}
              </A>
            ),
            sort: (s) => of(spans.data, s),
          },
          {
            id: "series",
            head: "Series",
            num: true,
            cell: (s) => (
              <A to={href("/status", { ...carry, tab: "cardinality", match: `{service_name=${JSON.stringify(s)}}` })}>
                {count(of(series.data, s))}
              </A>
            ),
            sort: (s) => of(series.data, s),
          },
        ]}
      />
    </section>
  );
}
