/** Two requests side by side: where the time of the one went, and in what they differ. */
import { useQuery } from "@tanstack/react-query";
import { ArrowLeftRight } from "lucide-react";
import { useEffect, useMemo, useState } from "react";
import { correlate } from "@/api/native";
import { duration, percent, plural } from "@/lib/format";
import { nsToMs } from "@/lib/time";
import { buildForest, type Forest } from "@/lib/waterfall";
import { Minimap } from "@/pages/request/minimap";
import { Empty, ErrorNotice, Loading, Notice } from "@/parts/feedback";
import { ShareMenu } from "@/parts/menus";
import { Service, Time } from "@/parts/show";
import { type Column, Table } from "@/parts/table";
import { Value } from "@/parts/value";
import { useTitle } from "@/shell/shell";
import { A, requestHref, useParams } from "@/shell/url";
import { Candidates } from "./candidates";
import { type Difference, diff, type FieldDifference, fieldDiff } from "./diff";

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
        <div className="push row">
          <button
            type="button"
            className="btn"
            disabled={!params.a && !params.b}
            onClick={() => setParams({ a: params.b, b: params.a })}
          >
            <ArrowLeftRight size={14} /> Swap
          </button>
          <ShareMenu />
        </div>
      </div>
      <div style={{ display: "grid", gridTemplateColumns: "1fr 1fr", gap: 12 }}>
        <Side label="A" id={params.a ?? ""} state={a} other={b.forest} onId={(id) => setParams({ a: id })} />
        <Side label="B" id={params.b ?? ""} state={b} other={a.forest} onId={(id) => setParams({ b: id })} />
      </div>
      {a.forest && b.forest && <InWords a={a.forest} b={b.forest} rows={rows} />}
      {rows.length > 0 ? (
        <section className="panel">
          <header>
            <h2>Where the time went</h2>
          </header>
          <Table
            label="Differences by operation"
            columns={columns}
            rows={rows}
            rowKey={(r) => r.key}
            initial={{ id: "change", desc: true }}
          />
        </section>
      ) : (
        !a.q.isFetching &&
        !b.q.isFetching && (
          <Empty title={params.a || params.b ? "One more, please" : "Two ids, please"}>
            {params.a || params.b
              ? "Take one of the requests offered above, or paste the id of another of the same kind."
              : "Paste the id of a slow or failed request: a typical one of the same kind is offered to compare with."}
          </Empty>
        )
      )}
      {a.forest && b.forest && <Fields a={a.forest} b={b.forest} />}
    </div>
  );
}

function Errors({ forest }: { forest: Forest }) {
  const n = forest.nodes.filter((x) => x.error).length;
  return n ? <span className="badge error">{plural(n, "error")}</span> : <span className="badge ok">no errors</span>;
}

/** The difference as one would say it. */
function InWords({ a, b, rows }: { a: Forest; b: Forest; rows: readonly Difference[] }) {
  const gap = b.total - a.total;
  const most = [...rows].sort((x, y) => (y.change - x.change) * Math.sign(gap || 1))[0];
  const onlyA = rows.filter((r) => r.b.count === 0);
  const onlyB = rows.filter((r) => r.a.count === 0);
  const names = (list: readonly Difference[]) =>
    `${list
      .slice(0, 3)
      .map((r) => `${r.service} ${r.name}`)
      .join(", ")}${list.length > 3 ? ` and ${list.length - 3} more` : ""}`;
  return (
    <Notice>
      <b>
        {Math.abs(gap) < 0.02 * Math.max(a.total, 1)
          ? "Both took about as long"
          : `B took ${duration(Math.abs(gap))} ${gap > 0 ? "longer" : "less"} than A`}
      </b>
      {most && Math.abs(gap) >= 0.02 * Math.max(a.total, 1) && (
        <>
          , most of it in{" "}
          <bdi>
            <b>
              {most.service} {most.name.slice(0, 120)}
            </b>
          </bdi>{" "}
          ({most.change > 0 ? "+" : ""}
          {duration(most.change)})
        </>
      )}
      .{onlyB.length > 0 && <div className="muted">Only B did: {names(onlyB)}.</div>}
      {onlyA.length > 0 && <div className="muted">Only A did: {names(onlyA)}.</div>}
    </Notice>
  );
}

/** Attributes that are not the same. */
function Fields({ a, b }: { a: Forest; b: Forest }) {
  const rows = useMemo(() => fieldDiff(a, b), [a, b]);
  if (rows.length === 0) return null;
  const values = (d: FieldDifference, list: readonly string[]) =>
    list.length === 0 ? (
      <span className="faint">not set</span>
    ) : (
      <span className="row wrap mono" style={{ gap: "0 10px" }}>
        {list.slice(0, 6).map((v) => (
          <Value key={v} field={d.field} value={v}>
            {v.slice(0, 120) || "(empty)"}
          </Value>
        ))}
        {list.length > 6 && <span className="muted">and {list.length - 6} more</span>}
      </span>
    );
  return (
    <section className="panel">
      <header>
        <h2>Attributes that differ</h2>
        <span className="push muted small">{rows.length}</span>
      </header>
      <Table
        label="Attributes that differ"
        rows={rows}
        rowKey={(d) => d.key}
        page={40}
        columns={[
          { id: "service", head: "Service", cell: (d) => <Service name={d.service} />, width: "160px" },
          { id: "field", head: "Attribute", cell: (d) => <bdi>{d.field.slice(0, 120)}</bdi>, width: "240px" },
          { id: "a", head: "A", cell: (d) => values(d, d.a) },
          { id: "b", head: "B", cell: (d) => values(d, d.b) },
        ]}
      />
    </section>
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
  other,
  onId,
}: {
  label: string;
  id: string;
  state: ReturnType<typeof useRequest>;
  other: Forest | undefined;
  onId: (id: string | undefined) => void;
}) {
  const [text, setText] = useState(id);
  useEffect(() => setText(id), [id]);
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
          <>
            <span className="row wrap" style={{ marginBottom: 8 }}>
              <b>{duration(f.total)}</b> <Time ms={nsToMs(String(f.base))} />
              <bdi className="cut">{f.nodes[f.roots[0] ?? 0]?.span.name}</bdi>
              <span className="muted">{plural(f.nodes.length, "span")}</span> <Errors forest={f} />
              <A className="push" to={requestHref(id)}>
                Open
              </A>
            </span>
            <Minimap forest={f} total={Math.max(f.total, other?.total ?? 0)} />
          </>
        )}
        {other && (!id || f) && (
          <Candidates
            of={other}
            not={[id, ...other.nodes.slice(0, 1).map((n) => n.span.traceId ?? "")]}
            onPick={onId}
          />
        )}
        {state.q.data && !f && <p className="t-warn">No spans carry this id.</p>}
      </div>
    </section>
  );
}
