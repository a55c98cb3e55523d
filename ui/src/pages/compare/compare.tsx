/** Two requests beside each other: which operations are slower, missing or new. */
import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { correlate } from "@/api/native";
import { duration, percent } from "@/lib/format";
import { buildForest } from "@/lib/waterfall";
import { Empty, ErrorNotice, Loading } from "@/parts/feedback";
import { ShareMenu } from "@/parts/menus";
import { RequestLink, Service } from "@/parts/show";
import { type Column, Table } from "@/parts/table";
import { useTitle } from "@/shell/shell";
import { useParams } from "@/shell/url";
import { diff, type Difference } from "./diff";

export default function ComparePage() {
  const [params, setParams] = useParams();
  useTitle("Compare");
  const a = useRequest(params.a);
  const b = useRequest(params.b);
  const rows = useMemo(() => (a.forest && b.forest ? diff(a.forest, b.forest) : []), [a.forest, b.forest]);
  const widest = Math.max(1, ...rows.map((r) => Math.abs(r.change)));
  const columns: Column<Difference>[] = [
    { id: "service", head: "Service", cell: (r) => <Service name={r.service} />, sort: (r) => r.service },
    { id: "name", head: "Operation", cell: (r) => <bdi>{r.name.slice(0, 160)}</bdi>, sort: (r) => r.name },
    {
      id: "ca",
      head: "Spans A",
      num: true,
      cell: (r) => r.a.count || <span className="badge warn">missing</span>,
      sort: (r) => r.a.count,
    },
    {
      id: "cb",
      head: "Spans B",
      num: true,
      cell: (r) => r.b.count || <span className="badge warn">missing</span>,
      sort: (r) => r.b.count,
    },
    {
      id: "ea",
      head: "Errors A / B",
      num: true,
      cell: (r) => (r.a.errors || r.b.errors ? <span className="t-error">{`${r.a.errors} / ${r.b.errors}`}</span> : ""),
      sort: (r) => r.b.errors - r.a.errors,
    },
    { id: "ta", head: "Own time A", num: true, cell: (r) => duration(r.a.self), sort: (r) => r.a.self },
    { id: "tb", head: "Own time B", num: true, cell: (r) => duration(r.b.self), sort: (r) => r.b.self },
    {
      id: "change",
      head: "B against A",
      cell: (r) => (
        <div className="row" title={r.a.self ? percent(r.change / r.a.self) : "new"}>
          <div style={{ position: "relative", width: 140, height: 8, background: "var(--line)" }}>
            <i
              style={{
                position: "absolute",
                top: 0,
                bottom: 0,
                left: r.change < 0 ? `${50 - (50 * -r.change) / widest}%` : "50%",
                width: `${(50 * Math.abs(r.change)) / widest}%`,
                background: r.change > 0 ? "var(--series-2)" : "var(--series-1)",
              }}
            />
          </div>
          <span className="small num">
            {r.change > 0 ? "+" : ""}
            {duration(r.change)}
          </span>
        </div>
      ),
      sort: (r) => Math.abs(r.change),
      num: true,
    },
  ];
  return (
    <div className="page">
      <div className="page-head">
        <h1>Compare two requests</h1>
        <div className="push">
          <ShareMenu />
        </div>
      </div>
      <div style={{ display: "grid", gridTemplateColumns: "1fr 1fr", gap: 12 }}>
        <Side label="A" id={params.a ?? ""} state={a} onId={(id) => setParams({ a: id })} />
        <Side label="B" id={params.b ?? ""} state={b} onId={(id) => setParams({ b: id })} />
      </div>
      {rows.length > 0 ? (
        <section className="panel scroll">
          <Table
            label="Differences by operation"
            columns={columns}
            rows={rows}
            rowKey={(r) => r.key}
            initial={{ id: "change", desc: true }}
          />
        </section>
      ) : (
        <Empty title="Two ids, please">
          Paste the ids of a fast and a slow request of the same kind: the table shows where the time went.
        </Empty>
      )}
    </div>
  );
}

function useRequest(id: string | undefined) {
  const q = useQuery({
    queryKey: ["correlate", id, undefined, 10_000],
    queryFn: ({ signal }) => correlate(id ?? "", undefined, 10_000, signal),
    enabled: Boolean(id),
  });
  const forest = useMemo(
    () => (q.data?.spans?.length ? buildForest(q.data.spans, q.data.logs ?? []) : undefined),
    [q.data],
  );
  return { q, forest };
}

function Side({
  label,
  id,
  state,
  onId,
}: {
  label: string;
  id: string;
  state: ReturnType<typeof useRequest>;
  onId: (id: string | undefined) => void;
}) {
  const [text, setText] = useState(id);
  const f = state.forest;
  return (
    <section className="panel">
      <Loading on={state.q.isFetching} />
      <form
        className="body row"
        onSubmit={(e) => {
          e.preventDefault();
          onId(text.trim() || undefined);
        }}
      >
        <b>{label}</b>
        <input
          className="input mono grow"
          value={text}
          onChange={(e) => setText(e.target.value)}
          placeholder="trace or request id"
          aria-label={`Id of request ${label}`}
        />
        <button type="submit" className="btn">
          Load
        </button>
      </form>
      <div className="body" style={{ paddingTop: 0 }}>
        <ErrorNotice error={state.q.error} />
        {f && (
          <span className="row wrap">
            <b>{duration(f.total)}</b> {f.nodes.length} spans{" "}
            <span className="cut">{f.nodes[f.roots[0] ?? 0]?.span.name}</span> <RequestLink id={id} />
          </span>
        )}
        {state.q.data && !f && <p className="t-warn">No spans carry this id.</p>}
      </div>
    </section>
  );
}
