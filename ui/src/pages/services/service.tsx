/** One service: rate, errors, duration; its operations; who calls it; its latest errors. */
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useParams as useRouteParams } from "@tanstack/react-router";
import { useMemo } from "react";
import { queryLogs } from "@/api/loki";
import { traceMetrics } from "@/api/tempo";
import { count, duration, durationMs, percent } from "@/lib/format";
import { chooseStep } from "@/lib/time";
import { ErrorNotice, Loading } from "@/parts/feedback";
import type { Mark } from "@/parts/chart";
import { Service } from "@/parts/show";
import { type Column, Table } from "@/parts/table";
import { LogList } from "@/pages/logs/list";
import { deploysOf } from "./deploys";
import { TraceMetric } from "@/pages/traces/metric";
import { useRange } from "@/shell/range";
import { useTitle } from "@/shell/shell";
import { A, href } from "@/shell/url";
import { edgeQuery, serviceHref, useServices } from "./services";

/** When another version of a service took its first request. */
function useDeploys(service: string): Mark[] {
  const { range } = useRange();
  const step = chooseStep(range, 60);
  const q = useQuery({
    queryKey: ["versions", service, range.fromMs, range.toMs],
    queryFn: ({ signal }) =>
      traceMetrics(
        `{ resource.service.name = ${JSON.stringify(service)} } | count_over_time() by (resource.service.version)`,
        range,
        step,
        signal,
      ),
    placeholderData: keepPreviousData,
    retry: false,
  });
  return useMemo(() => deploysOf(q.data ?? [], range.fromMs + step * 2000), [q.data, range.fromMs, step]);
}

interface Operation {
  name: string;
  rate: number;
  errors: number;
  p95: number;
}

export default function ServicePage() {
  const { name = "" } = useRouteParams({ strict: false }) as { name?: string };
  const { range, carry } = useRange();
  useTitle(name);
  const deploys = useDeploys(name);
  const map = useServices(range);
  const node = map.data?.nodes?.find((n) => n.name === name);
  const quoted = JSON.stringify(name);
  const inbound = `{ resource.service.name = ${quoted} && kind = server }`;
  return (
    <div className="page">
      <div className="page-head">
        <h1>
          <Service name={name} />
        </h1>
        {node && (
          <span className="row muted">
            <span>{count(node.rate ?? 0)}/s</span>
            <span>{percent(node.errorShare ?? 0)} failed</span>
            <span>p95 {durationMs(node.p95Ms ?? 0)}</span>
            {(node.versions ?? []).map((v) => (
              <span key={v} className="chip">
                version {v}
              </span>
            ))}
          </span>
        )}
        <span className="push row">
          <A className="btn" to={href("/explore/traces", { ...carry, q: `{ resource.service.name = ${quoted} }` })}>
            Traces
          </A>
          <A className="btn" to={href("/explore/logs", { ...carry, q: `{service_name=${quoted}}` })}>
            Logs
          </A>
          <A className="btn" to={href("/explore/metrics", { ...carry, q: `{service_name=${quoted}}` })}>
            Metrics
          </A>
        </span>
      </div>
      <div style={{ display: "grid", gridTemplateColumns: "repeat(auto-fit, minmax(min(310px, 100%), 1fr))", gap: 12 }}>
        <TraceMetric title="Requests a second" query={`${inbound} | rate()`} height={190} marks={deploys} />
        <TraceMetric
          title="Failed requests a second"
          query={`{ resource.service.name = ${quoted} && kind = server && status = error } | rate()`}
          height={190}
          marks={deploys}
        />
        <TraceMetric
          title="Duration: median, 95th and 99th percentile"
          query={`${inbound} | quantile_over_time(duration, 0.5, 0.95, 0.99)`}
          height={190}
          marks={deploys}
        />
      </div>
      <Operations service={name} />
      <div style={{ display: "grid", gridTemplateColumns: "repeat(auto-fit, minmax(min(310px, 100%), 1fr))", gap: 12 }}>
        <Neighbours
          title="Called by"
          list={(map.data?.edges ?? []).filter((e) => e.server === name).map((e) => ({ ...e, other: e.client ?? "" }))}
        />
        <Neighbours
          title="Calls"
          list={(map.data?.edges ?? []).filter((e) => e.client === name).map((e) => ({ ...e, other: e.server ?? "" }))}
        />
      </div>
      <LatestErrors service={name} />
    </div>
  );
}

function Operations({ service }: { service: string }) {
  const { range, carry } = useRange();
  const step = chooseStep(range, 40);
  const filter = `resource.service.name = ${JSON.stringify(service)}`;
  const q = useQuery({
    queryKey: ["operations", service, range.fromMs, range.toMs],
    queryFn: async ({ signal }) => {
      const ask = (cond: string, fn: string) =>
        traceMetrics(`{ ${filter} && kind = server${cond} } | ${fn} by (name)`, range, step, signal);
      const [rate, errors, p95] = await Promise.all([
        ask("", "rate()"),
        ask(" && status = error", "rate()"),
        ask("", "quantile_over_time(duration, 0.95)"),
      ]);
      const mean = (points: readonly (readonly [number, number])[]) =>
        points.length ? points.reduce((n, p) => n + p[1], 0) / points.length : 0;
      const of = (list: typeof rate, name: string) =>
        mean(list.find((s) => s.labels.name === name)?.points.filter((p) => p[1] > 0) ?? []);
      return rate.map(
        (s): Operation => ({
          name: s.labels.name ?? "",
          rate: mean(s.points),
          errors: of(errors, s.labels.name ?? ""),
          p95: of(p95, s.labels.name ?? ""),
        }),
      );
    },
    placeholderData: keepPreviousData,
  });
  const columns: Column<Operation>[] = [
    {
      id: "name",
      head: "Operation",
      cell: (o) => (
        <A to={href("/explore/traces", { ...carry, q: `{ ${filter} && name = ${JSON.stringify(o.name)} }` })}>
          <bdi>{o.name.slice(0, 200)}</bdi>
        </A>
      ),
      sort: (o) => o.name,
    },
    { id: "rate", head: "Requests/s", num: true, cell: (o) => count(o.rate), sort: (o) => o.rate },
    {
      id: "errors",
      head: "Failed",
      num: true,
      cell: (o) => percent(o.rate ? o.errors / o.rate : 0),
      sort: (o) => (o.rate ? o.errors / o.rate : 0),
    },
    { id: "p95", head: "p95", num: true, cell: (o) => duration(o.p95 * 1e9), sort: (o) => o.p95 },
  ];
  return (
    <section className="panel">
      <header>
        <h2>Operations</h2>
      </header>
      <Loading on={q.isFetching} />
      <ErrorNotice error={q.error} retry={() => void q.refetch()} />
      <div className="scroll" style={{ maxHeight: 420 }}>
        <Table
          label="Operations"
          columns={columns}
          rows={q.data ?? []}
          rowKey={(o) => o.name}
          initial={{ id: "rate", desc: true }}
        />
      </div>
    </section>
  );
}

interface Neighbour {
  other: string;
  client?: string;
  server?: string;
  calls?: string;
  errors?: string;
  p95Ms?: number;
}

function Neighbours({ title, list }: { title: string; list: readonly Neighbour[] }) {
  const { carry } = useRange();
  return (
    <section className="panel">
      <header>
        <h2>{title}</h2>
      </header>
      {list.length === 0 ? (
        <p className="muted body">Nobody in this range.</p>
      ) : (
        <Table
          label={title}
          rows={list}
          rowKey={(e) => e.other}
          initial={{ id: "calls", desc: true }}
          columns={[
            {
              id: "name",
              head: "Service",
              cell: (e) => (
                <A to={serviceHref(e.other, carry)}>
                  <Service name={e.other} />
                </A>
              ),
              sort: (e) => e.other,
            },
            {
              id: "calls",
              head: "Calls",
              num: true,
              cell: (e) => count(Number(e.calls ?? 0)),
              sort: (e) => Number(e.calls ?? 0),
            },
            {
              id: "errors",
              head: "Failed",
              num: true,
              cell: (e) => percent(Number(e.errors ?? 0) / Math.max(1, Number(e.calls ?? 0))),
              sort: (e) => Number(e.errors ?? 0),
            },
            { id: "p95", head: "p95", num: true, cell: (e) => durationMs(e.p95Ms ?? 0), sort: (e) => e.p95Ms ?? 0 },
            {
              id: "go",
              head: "",
              cell: (e) => (
                <A to={href("/explore/traces", { ...carry, q: edgeQuery(e.client ?? "", e.server ?? "") })}>requests</A>
              ),
            },
          ]}
        />
      )}
    </section>
  );
}

function LatestErrors({ service }: { service: string }) {
  const { range, carry } = useRange();
  const query = `{service_name=${JSON.stringify(service)}} | detected_level=~"error|fatal"`;
  const q = useQuery({
    queryKey: ["latest-errors", service, range.fromMs, range.toMs],
    queryFn: ({ signal }) => queryLogs(query, range, 50, "backward", signal),
    placeholderData: keepPreviousData,
  });
  return (
    <section className="panel">
      <header>
        <h2>Latest errors in its logs</h2>
        <A className="push" to={href("/explore/logs", { ...carry, q: query })}>
          all
        </A>
      </header>
      <Loading on={q.isFetching} />
      <ErrorNotice error={q.error} />
      {q.data?.lines.length === 0 ? (
        <p className="muted body">No error was logged in this range.</p>
      ) : (
        <div style={{ height: 240, display: "flex" }}>
          <LogList lines={q.data?.lines ?? []} columns={[]} context />
        </div>
      )}
    </section>
  );
}
