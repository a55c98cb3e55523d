/** A LogQL query for numbers, as a chart. */
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useMemo, useRef, useState } from "react";
import { queryLogMetric } from "@/api/loki";
import { byUnit, plural } from "@/lib/format";
import { distinguishing, seriesVar, shortName } from "@/lib/series";
import { chooseStep } from "@/lib/time";
import { type Style, TimeChart } from "@/parts/chart";
import { Empty, ErrorNotice, Notice, Warnings } from "@/parts/feedback";
import { Legend } from "@/parts/legend";
import { ShareMenu } from "@/parts/menus";
import { Notes } from "@/parts/notes";
import { Cost, Progress, useRun } from "@/parts/progress";
import { Table } from "@/parts/table";
import { Value } from "@/parts/value";
import { useRange } from "@/shell/range";
import { useParams } from "@/shell/url";

const styles = [
  { id: "line", label: "Lines" },
  { id: "area", label: "Stacked" },
  { id: "bar", label: "Bars" },
  { id: "table", label: "Table" },
];

const most = 300;

export function LogMetric({ query }: { query: string }) {
  const { range, zoomTo } = useRange();
  const [params, setParams] = useParams();
  const host = useRef<HTMLElement>(null);
  const style = params.style ?? "line";
  const step = chooseStep(range, 240);
  const [hidden, setHidden] = useState<ReadonlySet<number>>(new Set());
  const key = ["log-metric", query, range.fromMs, range.toMs];
  const q = useQuery({
    queryKey: key,
    queryFn: ({ signal }) => queryLogMetric(query, range, step, signal),
    placeholderData: keepPreviousData,
  });
  const run = useRun({ key, q });
  const lines = useMemo(() => {
    const data = q.data?.data ?? [];
    const keys = distinguishing(data.map((s) => s.metric));
    return data.slice(0, most).map((s, i) => ({
      name: shortName(s.metric, keys),
      labels: s.metric,
      color: seriesVar(i),
      points: (s.values ?? []).map(([t, v]) => [t * 1000, Number(v)] as const),
    }));
  }, [q.data]);
  const dropped = (q.data?.data.length ?? 0) - lines.length;
  const empty = q.isSuccess && lines.length === 0;
  return (
    <section className="panel" ref={host} aria-label="Chart">
      <header style={{ flexWrap: "wrap" }}>
        <span className="group">
          {styles.map((s) => (
            <button
              key={s.id}
              type="button"
              className="btn small"
              aria-pressed={style === s.id}
              onClick={() => setParams({ style: s.id === "line" ? undefined : s.id }, true)}
            >
              {s.label}
            </button>
          ))}
        </span>
        <span className="push row">
          <Notes />
          <ShareMenu
            small
            data={{
              name: "log-numbers",
              title: query,
              canvas: () => host.current?.querySelector("canvas"),
              legend: () => lines,
              json: () => lines.map((l) => ({ query, labels: l.labels, points: l.points })),
              ndjson: () => lines.map((l) => ({ query, labels: l.labels, points: l.points })),
              table: () => ({
                header: ["series", "time", "value"],
                rows: lines.flatMap((l) => l.points.map(([t, v]) => [l.name, new Date(t).toISOString(), v])),
              }),
            }}
          />
        </span>
      </header>
      <Progress run={run} chip={false} />
      <ErrorNotice error={q.error} retry={() => void q.refetch()} />
      <Warnings list={q.data?.warnings} />
      {dropped > 0 && (
        <Notice kind="warn">
          {plural(dropped, "more series", "more series")} are not drawn: group by fewer fields, or use topk.
        </Notice>
      )}
      {empty ? (
        <Empty title="No series in this range">
          No record matched, or none had the field that the query counts by.
        </Empty>
      ) : (
        <div className="body">
          {style === "table" ? (
            <LastValues lines={lines} />
          ) : (
            <TimeChart
              label={query}
              lines={lines}
              range={range}
              stepMs={step * 1000}
              style={style as Style}
              hidden={hidden}
              onZoom={zoomTo}
              height={320}
            />
          )}
          <div className="cost">
            <span>{plural(lines.length, "series", "series")}</span>
            <span>step {step} s</span>
            <Cost run={run} spent={q.data?.spent} />
          </div>
          {style !== "table" && <Legend lines={lines} hidden={hidden} onHidden={setHidden} />}
        </div>
      )}
    </section>
  );
}

interface Row {
  name: string;
  labels: Record<string, string>;
  points: readonly (readonly [number, number])[];
}

/** The newest value of every series, label by label. */
function LastValues({ lines }: { lines: readonly Row[] }) {
  const keys = [...new Set(lines.flatMap((l) => Object.keys(l.labels)))].slice(0, 12);
  const last = (l: Row) => l.points.at(-1)?.[1] ?? Number.NaN;
  const sum = (l: Row) => l.points.reduce((n, p) => n + (Number.isFinite(p[1]) ? p[1] : 0), 0);
  return (
    <div className="scroll" style={{ maxHeight: 480 }}>
      <Table
        label="Values"
        rows={lines}
        rowKey={(l) => l.name}
        initial={{ id: "last", desc: true }}
        columns={[
          ...keys.map((k) => ({
            id: k,
            head: k,
            cell: (l: Row) => (l.labels[k] === undefined ? "" : <Value field={k} value={l.labels[k] ?? ""} />),
            sort: (l: Row) => l.labels[k] ?? "",
          })),
          { id: "last", head: "Last", num: true, cell: (l: Row) => byUnit(last(l), undefined), sort: last },
          { id: "sum", head: "Sum of points", num: true, cell: (l: Row) => byUnit(sum(l), undefined), sort: sum },
        ]}
      />
    </div>
  );
}
