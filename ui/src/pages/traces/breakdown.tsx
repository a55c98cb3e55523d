/** Rate, errors and duration of matching spans by the values of any field. */
import { useQuery } from "@tanstack/react-query";
import { searchTags } from "@/api/tempo";
import { addCondition, fieldName, spanFilter } from "@/lib/traceql";
import { useRange } from "@/shell/range";
import { useParams } from "@/shell/url";
import { TraceMetric } from "./metric";

const usual = [
  "resource.service.name",
  "name",
  "span.http.route",
  "span.http.response.status_code",
  "status",
  "kind",
  "resource.service.version",
];

export function Breakdown({ query }: { query: string }) {
  const { range } = useRange();
  const [params, setParams] = useParams();
  const by = params.by ?? usual[0]!;
  const tags = useQuery({
    queryKey: ["trace-tags", range.fromMs],
    queryFn: ({ signal }) => searchTags(range, signal),
    staleTime: 60_000,
    retry: false,
  });
  const fields = [
    ...new Set([
      ...usual,
      by,
      ...(tags.data ?? []).flatMap((s) => s.tags.map((t) => (s.scope === "intrinsic" ? t : `${s.scope}.${t}`))),
    ]),
  ];
  const filter = spanFilter(query);
  const group = `by (${fieldName(by)})`;
  return (
    <div className="col" style={{ paddingTop: 8 }}>
      <label className="check">
        <span className="muted">by</span>
        <select className="select" value={by} onChange={(e) => setParams({ by: e.target.value })}>
          {fields.map((f) => (
            <option key={f}>{f}</option>
          ))}
        </select>
      </label>
      <div style={{ display: "grid", gridTemplateColumns: "repeat(auto-fit, minmax(min(330px, 100%), 1fr))", gap: 12 }}>
        <TraceMetric title="Rate" query={`${filter} | rate() ${group}`} height={220} />
        <TraceMetric
          title="Errors"
          query={`${addCondition(filter, "status = error")} | rate() ${group}`}
          height={220}
        />
        <TraceMetric
          title="Duration, 95th percentile"
          query={`${filter} | quantile_over_time(duration, 0.95) ${group}`}
          height={220}
        />
      </div>
    </div>
  );
}
