/** The spans of a request as a table, one by one or summed by operation. */
import { useMemo } from "react";
import { duration, percent, whole } from "@/lib/format";
import { type Forest, type Node, selfTime } from "@/lib/waterfall";
import { Service, StateBadge } from "@/parts/show";
import { type Column, Table } from "@/parts/table";
import { useParams } from "@/shell/url";
import { type Operation, operations } from "./operations";

export function SpanTable({ forest }: { forest: Forest }) {
  const [params, setParams] = useParams();
  const each = params.rows === "each";
  const ops = useMemo(() => operations(forest), [forest]);
  const sum = ops.reduce((n, o) => n + o.self, 0);
  const byOperation: Column<Operation>[] = [
    { id: "service", head: "Service", cell: (o) => <Service name={o.service} />, sort: (o) => o.service },
    {
      id: "name",
      head: "Operation",
      cell: (o) => (
        <button
          type="button"
          className="value"
          title="Show these spans in the waterfall"
          onClick={() => setParams({ view: undefined, find: o.name })}
        >
          <bdi>{o.name.slice(0, 200)}</bdi>
        </button>
      ),
      sort: (o) => o.name,
    },
    { id: "count", head: "Spans", num: true, cell: (o) => whole(o.count), sort: (o) => o.count },
    {
      id: "errors",
      head: "Errors",
      num: true,
      cell: (o) => (o.errors ? <span className="badge error">{o.errors}</span> : ""),
      sort: (o) => o.errors,
    },
    { id: "total", head: "Total", num: true, cell: (o) => duration(o.total), sort: (o) => o.total },
    { id: "self", head: "Own time", num: true, cell: (o) => duration(o.self), sort: (o) => o.self },
    {
      id: "share",
      head: "Share of own time",
      cell: (o) => <Share part={sum ? o.self / sum : 0} />,
      sort: (o) => o.self,
    },
    { id: "max", head: "Longest", num: true, cell: (o) => duration(o.max), sort: (o) => o.max },
  ];
  const bySpan: Column<Node>[] = [
    { id: "start", head: "Start", num: true, cell: (n) => duration(n.start), sort: (n) => n.start },
    { id: "service", head: "Service", cell: (n) => <Service name={n.service} />, sort: (n) => n.service },
    {
      id: "name",
      head: "Operation",
      cell: (n) => (
        <button type="button" className="value" onClick={() => setParams({ view: undefined, span: n.span.spanId })}>
          <bdi>{(n.span.name ?? "").slice(0, 200)}</bdi>
        </button>
      ),
      sort: (n) => n.span.name ?? "",
    },
    { id: "kind", head: "Kind", cell: (n) => n.span.kind ?? "", sort: (n) => n.span.kind ?? "" },
    {
      id: "status",
      head: "Status",
      cell: (n) => <StateBadge state={n.error ? "error" : n.span.status || "unset"} />,
      sort: (n) => (n.error ? 1 : 0),
    },
    { id: "duration", head: "Duration", num: true, cell: (n) => duration(n.duration), sort: (n) => n.duration },
    {
      id: "self",
      head: "Own time",
      num: true,
      cell: (n) => duration(selfTime(forest, n.index)),
      sort: (n) => selfTime(forest, n.index),
    },
    { id: "depth", head: "Depth", num: true, cell: (n) => n.depth, sort: (n) => n.depth },
  ];
  return (
    <div className="col grow" style={{ minHeight: 0, paddingTop: 8 }}>
      <fieldset className="group">
        <legend className="offscreen">Rows</legend>
        <button
          type="button"
          className="btn small"
          aria-pressed={!each}
          onClick={() => setParams({ rows: undefined }, true)}
        >
          By operation
        </button>
        <button
          type="button"
          className="btn small"
          aria-pressed={each}
          onClick={() => setParams({ rows: "each" }, true)}
        >
          Each span
        </button>
      </fieldset>
      <div className="panel scroll grow">
        {each ? (
          <Table
            label="Spans"
            columns={bySpan}
            rows={forest.nodes}
            rowKey={(n) => String(n.index)}
            initial={{ id: "start", desc: false }}
          />
        ) : (
          <Table
            label="Operations"
            columns={byOperation}
            rows={ops}
            rowKey={(o) => o.key}
            initial={{ id: "self", desc: true }}
          />
        )}
      </div>
    </div>
  );
}

function Share({ part }: { part: number }) {
  return (
    <div className="row">
      <div className="bar" style={{ width: 90 }}>
        <i style={{ width: `${part * 100}%` }} />
      </div>
      <span className="small num">{percent(part)}</span>
    </div>
  );
}
