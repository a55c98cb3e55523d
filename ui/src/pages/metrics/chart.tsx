/** The chart of the metrics page. A click on a point asks for the requests behind it. */
import { useMemo, useRef, useState } from "react";
import { toDots } from "./dots";
import { guessUnit, plural, unitOfBuckets } from "@/lib/format";
import { seriesSelector } from "@/lib/promql";
import { type Style, TimeChart } from "@/parts/chart";
import { Empty, ErrorNotice, Infos, Notice, Warnings } from "@/parts/feedback";
import { Heatmap, toHeat } from "@/parts/heatmap";
import { Legend } from "@/parts/legend";
import { ShareMenu } from "@/parts/menus";
import { Notes } from "@/parts/notes";
import { Cost, Progress, useRun } from "@/parts/progress";
import { byUnit } from "@/lib/format";
import type { PanelType } from "@/lib/dashboards";
import { AddToDashboard } from "@/parts/add-to-dashboard";
import { useRange } from "@/shell/range";
import { A, href, useParams } from "@/shell/url";
import { Behind, type BehindPoint } from "./behind";
import { MetricTable } from "./table";
import { type MetricLine, type MetricQuery, useExemplars, useMetricLines } from "./use-metrics";

const styles: { id: string; label: string }[] = [
  { id: "line", label: "Lines" },
  { id: "area", label: "Stacked" },
  { id: "bar", label: "Bars" },
  { id: "points", label: "Points" },
  { id: "heat", label: "Heatmap" },
  { id: "table", label: "Table" },
];

/** What tells a series of a query from the others, the period before and now alike. */
const identity = (l: MetricLine) => `${l.slot}\0${JSON.stringify(Object.entries(l.labels).sort())}`;

export function MetricChart({ queries }: { queries: readonly MetricQuery[] }) {
  const { range, zoomTo, carry } = useRange();
  const [params, setParams] = useParams();
  const [hidden, setHidden] = useState<ReadonlySet<number>>(new Set());
  const [behind, setBehind] = useState<BehindPoint>();
  const host = useRef<HTMLElement>(null);
  const style = params.style ?? "line";
  const compare = params.compare === "before";
  const drawn = style !== "heat" && style !== "table";
  const showDots = params.exemplars !== "off" && drawn;
  const now = useMetricLines(queries, range);
  const before = useMetricLines(queries, range, range.toMs - range.fromMs, compare);
  const run = useRun(...now.asked, ...before.asked);
  const exemplars = useExemplars(queries, range, showDots);
  const lines = useMemo(() => {
    if (!compare) return now.lines;
    const colors = new Map(now.lines.map((l) => [identity(l), l.color]));
    return [...now.lines, ...before.lines.map((l) => ({ ...l, color: colors.get(identity(l)) ?? l.color }))];
  }, [now.lines, before.lines, compare]);
  const units = new Set(queries.map((q) => guessUnit(q.query)));
  const unit = params.unit ?? (units.size === 1 ? [...units][0] : undefined);
  const dots = useMemo(
    () => (showDots ? toDots(exemplars, now.lines, unit) : []),
    [exemplars, now.lines, unit, showDots],
  );
  const empty = now.done && now.lines.length === 0;
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
        <label className="check small">
          <input
            type="checkbox"
            checked={compare}
            onChange={(e) => setParams({ compare: e.target.checked ? "before" : undefined }, true)}
          />{" "}
          period before
        </label>
        <label className="check small">
          <input
            type="checkbox"
            checked={params.exemplars !== "off"}
            onChange={(e) => setParams({ exemplars: e.target.checked ? undefined : "off" }, true)}
          />{" "}
          exemplars{dots.length > 0 && ` (${dots.length})`}
        </label>
        <select
          className="select small"
          style={{ height: 24 }}
          aria-label="Unit"
          value={params.unit ?? ""}
          onChange={(e) => setParams({ unit: e.target.value || undefined }, true)}
        >
          <option value="">unit: {unit ?? "number"}</option>
          {["s", "ms", "By", "By/s", "/s", "ratio", "none"].map((u) => (
            <option key={u}>{u}</option>
          ))}
        </select>
        <span className="push row">
          <Notes />
          <AddToDashboard
            small
            type={style === "heat" ? "heatmap" : style === "points" ? "line" : (style as PanelType)}
            unit={params.unit}
            queries={queries.map((q) => ({ language: "promql", expr: q.query }))}
          />
          <A className="btn small" to={href("/alerting", { ...carry, tab: "make", expr: queries[0]?.query })}>
            Make alert
          </A>
          <ShareMenu
            small
            data={{
              name: "metrics",
              title: queries.map((q) => q.query).join("   "),
              legend: () => lines,
              canvas: () => host.current?.querySelector("canvas"),
              json: () => now.lines.map((l) => ({ query: l.query, labels: l.labels, points: l.points })),
              ndjson: () => now.lines.map((l) => ({ query: l.query, labels: l.labels, points: l.points })),
              table: () => ({
                header: ["series", "time", "value"],
                rows: now.lines.flatMap((l) =>
                  l.points.map(([t, v]) => [l.name, new Date(t).toISOString(), v] as (string | number)[]),
                ),
              }),
            }}
          />
        </span>
      </header>
      <Progress run={run} chip={false} />
      <div className="body">
        {now.errors.map((e) => (
          <ErrorNotice key={e.slot} error={e.error} retry={e.retry} />
        ))}
        <Warnings list={now.warnings} />
        {now.dropped > 0 && (
          <Notice kind="warn">
            {plural(now.dropped, "more series", "more series")} are not drawn: aggregate, or filter by a label.
          </Notice>
        )}
        {empty ? (
          <Empty title="No data in this range">
            The query is right, but no series has samples here. Widen the range, or check a label's value in the list of
            filters.
          </Empty>
        ) : style === "table" ? (
          <MetricTable queries={queries} />
        ) : style === "heat" ? (
          <Heatmap
            data={toHeat(
              lines.map((l) => ({
                bound: l.labels.le === "+Inf" ? Number.POSITIVE_INFINITY : Number(l.labels.le),
                points: l.points,
              })),
              now.step * 1000,
            )}
            range={range}
            height={320}
            format={(v) => byUnit(v, params.unit ?? unitOfBuckets(queries[0]?.query ?? ""))}
            label="Histogram buckets over time"
          />
        ) : (
          <TimeChart
            label={queries.map((q) => q.query).join("; ")}
            lines={lines}
            range={range}
            stepMs={now.step * 1000}
            unit={unit}
            style={style as Style}
            hidden={hidden}
            dots={dots}
            height={320}
            onZoom={zoomTo}
            onPoint={(ms, i) => {
              const l = lines[i];
              if (l && "query" in l)
                setBehind({
                  ms,
                  stepMs: now.step * 1000,
                  name: l.name,
                  selector: seriesSelector(l.query, l.labels),
                  service: l.labels.service_name ?? "",
                });
            }}
          />
        )}
        <div className="cost">
          <span>{plural(now.lines.length, "series", "series")}</span>
          <span>step {now.step} s</span>
          <Cost run={run} spent={now.spent} />
          {!empty && drawn && <span className="faint">Drag to zoom. Click a point for the requests behind it.</span>}
        </div>
        <Infos list={now.infos} />
        {!empty && drawn && <Legend lines={lines} hidden={hidden} onHidden={setHidden} unit={unit} />}
      </div>
      <Behind point={behind} onClose={() => setBehind(undefined)} />
    </section>
  );
}
