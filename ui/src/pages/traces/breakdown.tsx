/** Rate, errors and duration of matching spans by the values of any field. */
import { useQuery } from "@tanstack/react-query";
import { searchTags } from "@/api/tempo";
import { duration, percent, perSecond, plural } from "@/lib/format";
import { addCondition, fieldName, spanFilter } from "@/lib/traceql";
import { Empty, ErrorNotice } from "@/parts/feedback";
import { Cost, Progress } from "@/parts/progress";
import { Service } from "@/parts/show";
import { type Column, Table } from "@/parts/table";
import { Value } from "@/parts/value";
import { healthText } from "@/pages/services/health";
import { useRange } from "@/shell/range";
import { useParams } from "@/shell/url";
import { TraceMetric } from "./metric";
import { type Red, useRed } from "./red";

const usual: [field: string, label: string][] = [
  ["resource.service.name", "Service"],
  ["span.http.route", "Route"],
  ["name", "Operation"],
  ["span.http.response.status_code", "Status code"],
  ["resource.service.version", "Version"],
  ["kind", "Kind"],
];

export function Breakdown({ query }: { query: string }) {
  const [params] = useParams();
  const by = params.by ?? usual[0]![0];
  const filter = spanFilter(query);
  const group = `by (${fieldName(by)})`;
  return (
    <div className="col" style={{ paddingTop: 8 }}>
      <By by={by} />
      <RedTable filter={filter} by={by} />
      <div style={{ display: "grid", gridTemplateColumns: "repeat(auto-fit, minmax(min(310px, 100%), 1fr))", gap: 12 }}>
        <TraceMetric title="Rate" query={`${filter} | rate() ${group}`} height={200} bare />
        <TraceMetric
          title="Errors"
          query={`${addCondition(filter, "status = error")} | rate() ${group}`}
          height={200}
          bare
        />
        <TraceMetric
          title="Duration, p95"
          query={`${filter} | quantile_over_time(duration, 0.95) ${group}`}
          height={200}
          bare
        />
      </div>
    </div>
  );
}

/** The field to group by: the usual ones a click away, any other from the list. */
function By({ by }: { by: string }) {
  const { range } = useRange();
  const [, setParams] = useParams();
  const tags = useQuery({
    queryKey: ["trace-tags", range.fromMs],
    queryFn: ({ signal }) => searchTags(range, signal),
    staleTime: 60_000,
    retry: false,
  });
  const common = usual.map(([f]) => f);
  const others = [
    ...new Set([
      by,
      ...(tags.data ?? []).flatMap((s) => s.tags.map((t) => (s.scope === "intrinsic" ? t : `${s.scope}.${t}`))),
    ]),
  ].filter((f) => !common.includes(f));
  return (
    <div className="row wrap">
      <fieldset className="group">
        <legend className="offscreen">By</legend>
        {usual.map(([f, label]) => (
          <button
            key={f}
            type="button"
            className="btn small"
            aria-pressed={f === by}
            title={f}
            onClick={() => setParams({ by: f })}
          >
            {label}
          </button>
        ))}
      </fieldset>
      <select
        className="select"
        aria-label="By another field"
        style={{ maxWidth: 300 }}
        value={common.includes(by) ? "" : by}
        onChange={(e) => e.target.value && setParams({ by: e.target.value })}
      >
        <option value="">Another field</option>
        {others.map((f) => (
          <option key={f}>{f}</option>
        ))}
      </select>
    </div>
  );
}

function RedTable({ filter, by }: { filter: string; by: string }) {
  const { q, run } = useRed(filter, by);
  const rows = q.data?.rows ?? [];
  const most = Math.max(1e-9, ...rows.map((r) => r.p95).filter(Number.isFinite));
  const columns: Column<Red>[] = [
    {
      id: "value",
      head: by,
      grow: true,
      cell: (r) => (
        <Value field={by} value={r.value}>
          {by === "resource.service.name" ? <Service name={r.value} /> : r.value === "nil" ? "(not set)" : r.value}
        </Value>
      ),
      sort: (r) => r.value,
    },
    { id: "rate", head: "Spans", num: true, cell: (r) => perSecond(r.rate), sort: (r) => r.rate },
    {
      id: "failed",
      head: "Failed",
      num: true,
      cell: (r) => <span className={healthText(r.failed)}>{percent(r.failed)}</span>,
      sort: (r) => r.failed,
    },
    { id: "p50", head: "p50", num: true, cell: (r) => duration(r.p50 * 1e9), sort: (r) => r.p50 },
    { id: "p95", head: "p95", num: true, cell: (r) => duration(r.p95 * 1e9), sort: (r) => r.p95 },
    { id: "p99", head: "p99", num: true, cell: (r) => duration(r.p99 * 1e9), sort: (r) => r.p99 },
    {
      id: "bar",
      head: "p95 against the slowest",
      width: "190px",
      cell: (r) => (
        <div className="bar">
          <i style={{ width: `${((r.p95 || 0) / most) * 100}%` }} />
        </div>
      ),
    },
  ];
  return (
    <section className="panel" style={q.isPending ? { minHeight: 300 } : undefined}>
      <Progress run={run} chip={false} />
      <ErrorNotice error={q.error} retry={() => void q.refetch()} />
      {q.isSuccess && rows.length === 0 ? (
        <Empty title="No spans matched in this range">Widen the time range or take a condition away.</Empty>
      ) : (
        <>
          <div className="scroll" style={{ maxHeight: 330 }}>
            <Table
              label="Rate, errors and duration"
              columns={columns}
              rows={rows}
              rowKey={(r) => r.value}
              initial={{ id: "rate", desc: true }}
              page={100}
            />
          </div>
          <div className="cost" style={{ padding: "0 10px" }}>
            <span>{q.data && `${plural(rows.length, "value")}. Click one to keep it, leave it out or copy it.`}</span>
            <span className="push">
              <Cost run={run} spent={q.data?.spent} />
            </span>
          </div>
        </>
      )}
    </section>
  );
}
