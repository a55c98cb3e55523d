/** Services as a map and as a table, with rate, errors and duration. */
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { type ServiceEdge, type ServiceNode, services } from "@/api/native";
import { count, durationMs, percent, perSecond, plural } from "@/lib/format";
import type { Range } from "@/lib/time";
import { ErrorNotice, Warnings } from "@/parts/feedback";
import { HowToSend } from "@/parts/how-to-send";
import { ShareMenu } from "@/parts/menus";
import { Tabs } from "@/parts/overlay";
import { Progress, useRun } from "@/parts/progress";
import { Service } from "@/parts/show";
import { type Column, Table } from "@/parts/table";
import { useRange } from "@/shell/range";
import { useTitle } from "@/shell/shell";
import { A, href, useParams } from "@/shell/url";
import { healthOf, healthText } from "./health";
import { ServiceMap } from "./map";

export const serviceHref = (name: string, carry: Record<string, string | undefined>) =>
  href(`/service/${encodeURIComponent(name)}`, carry);

/** The requests of a call between two services. */
export const edgeQuery = (client: string, server: string) =>
  `{ resource.service.name = ${JSON.stringify(client)} } >> { resource.service.name = ${JSON.stringify(server)} }`;

export function useServices(range: Range) {
  const key = ["services", range.fromMs, range.toMs];
  const q = useQuery({
    queryKey: key,
    queryFn: ({ signal }) => services(range, signal),
    placeholderData: keepPreviousData,
  });
  return { q, run: useRun({ key, q }) };
}

export default function ServicesPage() {
  const { range } = useRange();
  const [params, setParams] = useParams();
  const { q, run } = useServices(range);
  useTitle("Services");
  const nodes = q.data?.nodes ?? [];
  const edges = q.data?.edges ?? [];
  return (
    <div className="page">
      <div className="page-head">
        <h1>Services</h1>
        <span className="muted">
          {q.data &&
            `${plural(nodes.filter((n) => (n.type || "service") === "service").length, "service")}, ${plural(edges.length, "call path")}${run.ms > 0 && !run.running ? `, counted in ${durationMs(run.ms)}` : ""}`}
        </span>
        <div className="push row">
          <ShareMenu
            data={{
              name: "services",
              json: () => q.data,
              table: () => ({
                header: ["service", "type", "rate", "error_share", "p50_ms", "p95_ms", "p99_ms"],
                rows: nodes.map((n) => [
                  n.name ?? "",
                  n.type ?? "",
                  n.rate ?? 0,
                  n.errorShare ?? 0,
                  n.p50Ms ?? 0,
                  n.p95Ms ?? 0,
                  n.p99Ms ?? 0,
                ]),
              }),
            }}
          />
        </div>
      </div>
      <Progress run={run} />
      <ErrorNotice error={q.error} retry={() => void q.refetch()} />
      <Warnings list={q.data?.warnings} />
      {q.isSuccess && nodes.length === 0 ? (
        <HowToSend signal="traces" />
      ) : !q.data ? null : (
        <Tabs
          label="Map or tables"
          value={params.view ?? "map"}
          onChange={(v) => setParams({ view: v === "map" ? undefined : v })}
          tabs={[
            { id: "map", label: "Map", content: <MapTab nodes={nodes} edges={edges} /> },
            { id: "table", label: "Table", content: <ServiceTable nodes={nodes} /> },
            { id: "calls", label: "Calls", content: <CallTable edges={edges} /> },
          ]}
        />
      )}
    </div>
  );
}

function MapTab({ nodes, edges }: { nodes: readonly ServiceNode[]; edges: readonly ServiceEdge[] }) {
  return (
    <div className="col" style={{ paddingTop: 10 }}>
      <ServiceMap nodes={nodes} edges={edges} />
      <ServiceTable nodes={nodes} />
    </div>
  );
}

export function ServiceTable({ nodes }: { nodes: readonly ServiceNode[] }) {
  const { carry } = useRange();
  const columns: Column<ServiceNode>[] = [
    {
      id: "health",
      head: <span className="offscreen">Health</span>,
      width: "24px",
      cell: (n) => {
        const h = healthOf(n.errorShare);
        return (
          <i
            className="dot"
            style={{ background: `var(--${h})` }}
            title={h === "ok" ? "healthy" : h === "warn" ? "some errors" : "many errors"}
          />
        );
      },
      sort: (n) => n.errorShare ?? 0,
    },
    {
      id: "name",
      head: "Service",
      cell: (n) =>
        (n.type || "service") === "service" ? (
          <A to={serviceHref(n.name ?? "", carry)}>
            <Service name={n.name ?? ""} />
          </A>
        ) : (
          <Service name={n.name ?? ""} />
        ),
      sort: (n) => n.name ?? "",
    },
    { id: "type", head: "Type", cell: (n) => n.type || "service", sort: (n) => n.type ?? "" },
    { id: "rate", head: "Requests", num: true, cell: (n) => perSecond(n.rate ?? 0), sort: (n) => n.rate ?? 0 },
    {
      id: "errors",
      head: "Errors",
      num: true,
      cell: (n) => <span className={healthText(n.errorShare)}>{percent(n.errorShare ?? 0)}</span>,
      sort: (n) => n.errorShare ?? 0,
    },
    { id: "p50", head: "p50", num: true, cell: (n) => durationMs(n.p50Ms ?? 0), sort: (n) => n.p50Ms ?? 0 },
    { id: "p95", head: "p95", num: true, cell: (n) => durationMs(n.p95Ms ?? 0), sort: (n) => n.p95Ms ?? 0 },
    { id: "p99", head: "p99", num: true, cell: (n) => durationMs(n.p99Ms ?? 0), sort: (n) => n.p99Ms ?? 0 },
    {
      id: "versions",
      head: "Versions",
      cell: (n) => <bdi className="muted small">{(n.versions ?? []).slice(0, 4).join(", ")}</bdi>,
    },
    {
      id: "go",
      head: "",
      cell: (n) => (
        <span className="row small">
          <A to={href("/explore/traces", { ...carry, q: `{ resource.service.name = ${JSON.stringify(n.name)} }` })}>
            traces
          </A>
          <A to={href("/explore/logs", { ...carry, q: `{service_name=${JSON.stringify(n.name)}}` })}>logs</A>
        </span>
      ),
    },
  ];
  return (
    <div className="panel scroll">
      <Table
        label="Services"
        columns={columns}
        rows={nodes}
        rowKey={(n) => n.name ?? ""}
        initial={{ id: "rate", desc: true }}
      />
    </div>
  );
}

const failed = (e: ServiceEdge) => Number(e.errors ?? 0) / Math.max(1, Number(e.calls ?? 0));

function CallTable({ edges }: { edges: readonly ServiceEdge[] }) {
  const { carry } = useRange();
  const columns: Column<ServiceEdge>[] = [
    { id: "client", head: "Caller", cell: (e) => <Service name={e.client ?? ""} />, sort: (e) => e.client ?? "" },
    { id: "server", head: "Called", cell: (e) => <Service name={e.server ?? ""} />, sort: (e) => e.server ?? "" },
    {
      id: "calls",
      head: "Calls",
      num: true,
      cell: (e) => count(Number(e.calls ?? 0)),
      sort: (e) => Number(e.calls ?? 0),
    },
    {
      id: "errors",
      head: "Errors",
      num: true,
      cell: (e) => <span className={healthText(failed(e))}>{percent(failed(e))}</span>,
      sort: failed,
    },
    { id: "p50", head: "p50", num: true, cell: (e) => durationMs(e.p50Ms ?? 0), sort: (e) => e.p50Ms ?? 0 },
    { id: "p95", head: "p95", num: true, cell: (e) => durationMs(e.p95Ms ?? 0), sort: (e) => e.p95Ms ?? 0 },
    {
      id: "go",
      head: "",
      cell: (e) => (
        <A to={href("/explore/traces", { ...carry, q: edgeQuery(e.client ?? "", e.server ?? "") })}>requests</A>
      ),
    },
  ];
  return (
    <div className="panel scroll" style={{ marginTop: 10 }}>
      <Table
        label="Calls"
        columns={columns}
        rows={edges}
        rowKey={(e) => `${e.client}>${e.server}`}
        initial={{ id: "calls", desc: true }}
      />
    </div>
  );
}
