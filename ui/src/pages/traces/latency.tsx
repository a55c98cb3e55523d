/** Latency of matching spans over time; a selected region is compared with the rest. */
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { outliers } from "@/api/native";
import { traceMetrics } from "@/api/tempo";
import { duration, durationMs, percent, plural } from "@/lib/format";
import { chooseStep, msToNs } from "@/lib/time";
import { addCondition, spanFilter } from "@/lib/traceql";
import { Empty, ErrorNotice, Notice, Warnings } from "@/parts/feedback";
import { Heatmap, HeatScale, type Region, toHeat } from "@/parts/heatmap";
import { Cost, Progress, useRun } from "@/parts/progress";
import { Value } from "@/parts/value";
import { useRange } from "@/shell/range";
import { useParams } from "@/shell/url";

const seconds = (v: number) => duration(v * 1e9);

/** A region in the URL: from-to-low-high, seconds for the durations. */
function readRegion(text: string | undefined): Region | undefined {
  const p = text?.split("~").map(Number);
  if (p?.length !== 4 || p.some(Number.isNaN)) return undefined;
  return { fromMs: p[0]!, toMs: p[1]!, low: p[2]!, high: p[3] === 0 ? Number.POSITIVE_INFINITY : p[3]! };
}

const writeRegion = (r: Region) =>
  [Math.round(r.fromMs), Math.round(r.toMs), r.low, Number.isFinite(r.high) ? r.high : 0].join("~");

export function Latency({ query, onQuery }: { query: string; onQuery: (q: string) => void }) {
  const { range, zoomTo } = useRange();
  const [params, setParams] = useParams();
  const step = chooseStep(range, 100);
  const filter = spanFilter(query);
  const key = ["latency", filter, range.fromMs, range.toMs];
  const q = useQuery({
    queryKey: key,
    queryFn: ({ signal }) => traceMetrics(`${filter} | histogram_over_time(duration)`, range, step, signal),
    placeholderData: keepPreviousData,
  });
  const run = useRun({ key, q });
  const data = useMemo(
    () =>
      toHeat(
        (q.data?.series ?? []).map((s) => ({
          bound: Number(s.labels.__bucket ?? Object.values(s.labels)[0]),
          points: s.points,
        })),
        step * 1000,
      ),
    [q.data, step],
  );
  const region = useMemo(() => readRegion(params.sel), [params.sel]);
  const only = region && [
    `duration >= ${toSpan(region.low)}`,
    ...(Number.isFinite(region.high) ? [`duration <= ${toSpan(region.high)}`] : []),
  ];
  return (
    <section className="panel" aria-label="Latency">
      <Progress run={run} chip={false} />
      <ErrorNotice error={q.error} retry={() => void q.refetch()} />
      <div style={{ padding: "8px 10px 2px" }}>
        <Heatmap
          data={data}
          range={range}
          format={seconds}
          label="Spans by duration over time: drag to select"
          selected={region}
          onSelect={(r) => setParams({ sel: r && writeRegion(r) })}
          height={170}
        />
      </div>
      <div className="cost" style={{ padding: "0 10px 5px" }}>
        {region ? (
          <>
            <b style={{ color: "var(--text)" }}>
              {seconds(region.low)} to {Number.isFinite(region.high) ? seconds(region.high) : "any"}
            </b>
            <button
              type="button"
              className="btn small"
              onClick={() => {
                zoomTo(region.fromMs, region.toMs);
                onQuery((only ?? []).reduce((s, c) => addCondition(s, c), query));
              }}
            >
              Show only these requests
            </button>
            <button type="button" className="btn small ghost" onClick={() => setParams({ sel: undefined })}>
              Clear
            </button>
          </>
        ) : (
          <>
            <span className="cut grow" style={{ flexBasis: 0, minWidth: 200 }}>
              Duration of matching spans. Drag over a region, or click a cell, to see what is different about it.
            </span>
            <HeatScale data={data} unit="spans a cell" />
            <span className="push">
              <Cost run={run} spent={q.data?.spent} />
            </span>
          </>
        )}
      </div>
      {region && <Different filter={filter} region={region} />}
    </section>
  );
}

const toSpan = (s: number) => `${Math.round(s * 1e6)}us`;

function Different({ filter, region }: { filter: string; region: Region }) {
  const { range } = useRange();
  const key = ["outliers", filter, region, range.fromMs, range.toMs];
  const q = useQuery({
    queryKey: key,
    queryFn: ({ signal }) =>
      outliers(
        {
          signal: "traces",
          selection: filter,
          startNs: msToNs(range.fromMs),
          endNs: msToNs(range.toMs),
          selectionStartNs: msToNs(region.fromMs),
          selectionEndNs: msToNs(region.toMs),
          minDurationNs: String(Math.round(region.low * 1e9)),
          maxDurationNs: Number.isFinite(region.high) ? String(Math.round(region.high * 1e9)) : "0",
          limit: 40,
        },
        signal,
      ),
  });
  const run = useRun({ key, q });
  const list = (q.data?.outliers ?? []).filter((o) => (o.score ?? 0) > 0);
  return (
    <div style={{ padding: 10, borderTop: "1px solid var(--line)" }}>
      <h2>What is different</h2>
      <Progress run={run} />
      <ErrorNotice error={q.error} retry={() => void q.refetch()} />
      <Warnings list={q.data?.warnings} />
      {q.data && (
        <p className="muted small">
          {plural(Number(q.data.selectionRows ?? 0), "span")} selected against{" "}
          {plural(Number(q.data.baselineRows ?? 0), "other")}
          {run.ms > 0 && `, compared in ${durationMs(run.ms)}`}
          {q.data.sampled && `; a sample, shares are right within ${percent(q.data.error ?? 0)}`}
        </p>
      )}
      {q.isSuccess && list.length === 0 && (
        <Empty title="Nothing sets the selection apart">
          No attribute is more frequent in it than in the rest. Select a narrower region.
        </Empty>
      )}
      <div
        style={{ display: "grid", gridTemplateColumns: "repeat(auto-fill, minmax(340px, 1fr))", gap: 8, marginTop: 8 }}
      >
        {list.map((o) => (
          <div key={`${o.field}=${o.value}`} className="panel" style={{ padding: "6px 10px" }}>
            <div className="cut">
              <span className="muted">{o.field}</span>{" "}
              <Value field={o.field ?? ""} value={o.value ?? ""} className="mono" />
            </div>
            <Pair name="selected" share={o.selectionShare ?? 0} color="var(--series-2)" />
            <Pair name="the rest" share={o.baselineShare ?? 0} color="var(--series-1)" />
          </div>
        ))}
      </div>
      {q.isError && <Notice>The comparison needs the native API of this server.</Notice>}
    </div>
  );
}

function Pair({ name, share, color }: { name: string; share: number; color: string }) {
  return (
    <div className="row small">
      <span className="muted" style={{ width: 58 }}>
        {name}
      </span>
      <div className="bar grow">
        <i style={{ width: `${share * 100}%`, background: color }} />
      </div>
      <span className="num" style={{ width: 48 }}>
        {percent(share)}
      </span>
    </div>
  );
}
