/** One service: rate, errors, duration; its operations; who calls it; its latest errors. */
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useParams as useRouteParams } from "@tanstack/react-router";
import { useMemo } from "react";
import { logSpent, queryLogs } from "@/api/loki";
import { traceMetrics } from "@/api/tempo";
import { count, duration, durationMs, percent, perSecond, spentText } from "@/lib/format";
import { chooseStep } from "@/lib/time";
import { condition } from "@/lib/traceql";
import { ErrorNotice } from "@/parts/feedback";
import type { Mark } from "@/parts/chart";
import { Progress, type Run, useRun } from "@/parts/progress";
import { Service, Time } from "@/parts/show";
import { type Column, Table } from "@/parts/table";
import { LogList } from "@/pages/logs/list";
import { deploysOf } from "./deploys";
import { healthText } from "./health";
import { TraceMetric } from "@/pages/traces/metric";
import { type Red, useRed } from "@/pages/traces/red";
import { useRange } from "@/shell/range";
import { useTitle } from "@/shell/shell";
import { A, href, useParams } from "@/shell/url";
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
  return useMemo(() => deploysOf(q.data?.series ?? [], range.fromMs + step * 2000), [q.data, range.fromMs, step]);
}

export default function ServicePage() {
  const { name = "" } = useRouteParams({ strict: false }) as { name?: string };
  const { range, carry } = useRange();
  useTitle(name);
  const deploys = useDeploys(name);
  const { q: map, run: mapRun } = useServices(range);
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
            <b>{perSecond(node.rate ?? 0)}</b>
            <span className={healthText(node.errorShare)}>{percent(node.errorShare ?? 0)} failed</span>
            <span>p50 {durationMs(node.p50Ms ?? 0)}</span>
            <span>p95 {durationMs(node.p95Ms ?? 0)}</span>
            <span>p99 {durationMs(node.p99Ms ?? 0)}</span>
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
      {deploys.length > 0 && (
        <div className="row wrap small muted">
          {deploys.slice(-6).map((d) => (
            <span key={d.label}>
              New version <bdi className="chip">{d.label.slice(0, 40)}</bdi> since <Time ms={d.ms} clock />
            </span>
          ))}
        </div>
      )}
      <div style={{ display: "grid", gridTemplateColumns: "repeat(auto-fit, minmax(min(310px, 100%), 1fr))", gap: 12 }}>
        <TraceMetric title="Requests" query={`${inbound} | rate()`} height={190} marks={deploys} bare />
        <TraceMetric
          title="Failed requests"
          query={`{ resource.service.name = ${quoted} && kind = server && status = error } | rate()`}
          height={190}
          marks={deploys}
          color="var(--series-5)"
          bare
        />
        <TraceMetric
          title="Duration"
          query={`${inbound} | quantile_over_time(duration, 0.5, 0.95, 0.99)`}
          height={190}
          marks={deploys}
          name={(l) => `p${Math.round(Number(Object.values(l)[0]) * 1000) / 10}`}
          bare
        />
      </div>
      <Operations service={name} />
      <div style={{ display: "grid", gridTemplateColumns: "repeat(auto-fit, minmax(min(310px, 100%), 1fr))", gap: 12 }}>
        <Neighbours
          title="Called by"
          none="Nobody calls it in this range."
          run={mapRun}
          list={(map.data?.edges ?? []).filter((e) => e.server === name).map((e) => ({ ...e, other: e.client ?? "" }))}
        />
        <Neighbours
          title="Calls"
          none="It calls nobody in this range."
          run={mapRun}
          list={(map.data?.edges ?? []).filter((e) => e.client === name).map((e) => ({ ...e, other: e.server ?? "" }))}
        />
      </div>
      <LatestErrors service={name} />
    </div>
  );
}

function Operations({ service }: { service: string }) {
  const { carry } = useRange();
  const [params, setParams] = useParams();
  const by = params.by === "route" ? "span.http.route" : "name";
  const filter = `resource.service.name = ${JSON.stringify(service)} && kind = server`;
  const { q, run } = useRed(`{ ${filter} }`, by);
  const columns: Column<Red>[] = [
    {
      id: "name",
      head: by === "name" ? "Operation" : "Route",
      grow: true,
      cell: (o) => (
        <A to={href("/explore/traces", { ...carry, q: `{ ${filter} && ${condition(by, "=", o.value, "string")} }` })}>
          <bdi>{o.value === "nil" ? "(not set)" : o.value.slice(0, 200)}</bdi>
        </A>
      ),
      sort: (o) => o.value,
    },
    { id: "rate", head: "Requests", num: true, cell: (o) => perSecond(o.rate), sort: (o) => o.rate },
    {
      id: "errors",
      head: "Failed",
      num: true,
      cell: (o) =>
        o.failed > 0 ? (
          <A
            className={healthText(o.failed)}
            title="The failed ones"
            to={href("/explore/traces", {
              ...carry,
              q: `{ ${filter} && ${condition(by, "=", o.value, "string")} && status = error }`,
            })}
          >
            {percent(o.failed)}
          </A>
        ) : (
          percent(0)
        ),
      sort: (o) => o.failed,
    },
    { id: "p50", head: "p50", num: true, cell: (o) => duration(o.p50 * 1e9), sort: (o) => o.p50 },
    { id: "p95", head: "p95", num: true, cell: (o) => duration(o.p95 * 1e9), sort: (o) => o.p95 },
    { id: "p99", head: "p99", num: true, cell: (o) => duration(o.p99 * 1e9), sort: (o) => o.p99 },
  ];
  return (
    <section className="panel">
      <header>
        <h2 title={q.data?.spent && spentText(q.data.spent)}>What is asked of it</h2>
        <fieldset className="group push">
          <legend className="offscreen">By</legend>
          <button
            type="button"
            className="btn small"
            aria-pressed={by === "name"}
            onClick={() => setParams({ by: undefined }, true)}
          >
            Operations
          </button>
          <button
            type="button"
            className="btn small"
            aria-pressed={by !== "name"}
            onClick={() => setParams({ by: "route" }, true)}
          >
            Routes
          </button>
        </fieldset>
      </header>
      <Progress run={run} />
      <ErrorNotice error={q.error} retry={() => void q.refetch()} />
      {q.isSuccess && q.data.rows.length === 0 ? (
        <p className="muted body">It served no request in this range.</p>
      ) : (
        <div className="scroll" style={{ maxHeight: 420 }}>
          <Table
            label="Operations"
            columns={columns}
            rows={q.data?.rows ?? []}
            rowKey={(o) => o.value}
            initial={{ id: "rate", desc: true }}
          />
        </div>
      )}
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

function Neighbours({ title, none, run, list }: { title: string; none: string; run: Run; list: readonly Neighbour[] }) {
  const { carry } = useRange();
  return (
    <section className="panel">
      <header>
        <h2>{title}</h2>
      </header>
      <Progress run={run} />
      {list.length === 0 ? (
        <p className="muted body" style={run.running ? { minHeight: 190 } : undefined}>
          {run.running ? "Counting calls" : run.cancelled ? "Not counted." : none}
        </p>
      ) : (
        <div className="scroll">
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
                cell: (e) => {
                  const share = Number(e.errors ?? 0) / Math.max(1, Number(e.calls ?? 0));
                  return <span className={healthText(share)}>{percent(share)}</span>;
                },
                sort: (e) => Number(e.errors ?? 0),
              },
              { id: "p95", head: "p95", num: true, cell: (e) => durationMs(e.p95Ms ?? 0), sort: (e) => e.p95Ms ?? 0 },
              {
                id: "go",
                head: "",
                cell: (e) => (
                  <A to={href("/explore/traces", { ...carry, q: edgeQuery(e.client ?? "", e.server ?? "") })}>
                    requests
                  </A>
                ),
              },
            ]}
          />
        </div>
      )}
    </section>
  );
}

function LatestErrors({ service }: { service: string }) {
  const { range, carry } = useRange();
  const query = `{service_name=${JSON.stringify(service)}} | detected_level=~"error|fatal"`;
  const key = ["latest-errors", service, range.fromMs, range.toMs];
  const q = useQuery({
    queryKey: key,
    queryFn: ({ signal }) => queryLogs(query, range, 50, "backward", signal),
    placeholderData: keepPreviousData,
  });
  const run = useRun({ key, q });
  return (
    <section className="panel">
      <header>
        <h2 title={q.data && spentText(logSpent([q.data]))}>Latest errors in its logs</h2>
        <A className="push" to={href("/explore/logs", { ...carry, q: query })}>
          all
        </A>
      </header>
      <Progress run={run} />
      <ErrorNotice error={q.error} retry={() => void q.refetch()} />
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
