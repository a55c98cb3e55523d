/** The values at the end of the range, label by label. */
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { query as instant, type Sample } from "@/api/prom";
import { byUnit, guessUnit } from "@/lib/format";
import { addMatcher } from "@/lib/promql";
import { ErrorNotice } from "@/parts/feedback";
import { Progress, useRun } from "@/parts/progress";
import { type Column, Table } from "@/parts/table";
import { Value, ValueActions } from "@/parts/value";
import { useRange } from "@/shell/range";
import { useParams } from "@/shell/url";
import type { MetricQuery } from "./use-metrics";

export function MetricTable({ queries }: { queries: readonly MetricQuery[] }) {
  return queries.map((q) => (
    <section key={q.slot} aria-label={`Values of $${q.slot}`}>
      {queries.length > 1 && (
        <h3>
          ${q.slot} <code className="muted">{q.query.slice(0, 120)}</code>
        </h3>
      )}
      <One q={q} />
    </section>
  ));
}

function One({ q }: { q: MetricQuery }) {
  const { range } = useRange();
  const [params, setParams] = useParams();
  const key = ["instant", q.query, range.toMs];
  const r = useQuery({
    queryKey: key,
    queryFn: ({ signal }) => instant(q.query, range.toMs, signal),
    placeholderData: keepPreviousData,
  });
  const run = useRun({ key, q: r });
  const rows = useMemo<Sample[]>(() => {
    const d = r.data?.data;
    if (d?.resultType === "vector") return d.result;
    if (d?.resultType === "scalar") return [{ metric: {}, value: d.result }];
    return [];
  }, [r.data]);
  const keys = useMemo(() => [...new Set(rows.flatMap((s) => Object.keys(s.metric)))].slice(0, 12), [rows]);
  const unit = guessUnit(q.query);
  const value = (s: Sample) =>
    s.value ? Number(s.value[1]) : s.histogram ? Number(s.histogram[1].sum) / Number(s.histogram[1].count) : Number.NaN;
  const columns: Column<Sample>[] = [
    ...keys.map(
      (k): Column<Sample> => ({
        id: k,
        head: k,
        cell: (s) => (s.metric[k] === undefined ? "" : <Value field={k} value={s.metric[k] ?? ""} />),
        sort: (s) => s.metric[k] ?? "",
      }),
    ),
    { id: "value", head: "Value", num: true, cell: (s) => byUnit(value(s), unit), sort: value },
  ];
  const slot = Object.entries(params).find(([k, v]) => /^q\d?$/.test(k) && v === q.query)?.[0];
  const filter = (op: "=" | "!=") => (name: string, v: string) =>
    slot && setParams({ [slot]: addMatcher(q.query, { name, op, value: v }) });
  return (
    <div className="scroll" style={{ maxHeight: 480 }}>
      <Progress run={run} />
      <ErrorNotice error={r.error} />
      <ValueActions value={slot ? { include: filter("="), exclude: filter("!=") } : {}}>
        <Table
          label={`Values of ${q.query}`}
          columns={columns}
          rows={rows}
          rowKey={(s, i) => JSON.stringify(s.metric) + i}
          initial={{ id: "value", desc: true }}
        />
      </ValueActions>
    </div>
  );
}
