/** A rule made from a query, tried on the past before it is written down. */
import { useQuery } from "@tanstack/react-query";
import { Copy } from "lucide-react";
import { useMemo, useState } from "react";
import { queryLogMetric } from "@/api/loki";
import { queryRange, type Series } from "@/api/prom";
import { traceMetrics } from "@/api/tempo";
import { duration, guessUnit, plural } from "@/lib/format";
import { backtest, type Draft, emptyDraft, splitThreshold, toYaml } from "@/lib/rules";
import { distinguishing, seriesVar, shortName } from "@/lib/series";
import { formatTime, parseSpan, type Range } from "@/lib/time";
import { TimeChart } from "@/parts/chart";
import { type Language, QueryEditor } from "@/parts/editor";
import { ErrorNotice, Loading } from "@/parts/feedback";
import { copy } from "@/parts/toast";
import { pointsOf } from "@/pages/metrics/use-metrics";
import { useRange } from "@/shell/range";
import { useParams } from "@/shell/url";

/** The points of an expression in any of the three languages that rules may speak. */
async function courseOf(language: Language, expr: string, range: Range, signal: AbortSignal): Promise<Series[]> {
  if (language === "logql") return (await queryLogMetric(expr, range, step, signal)).data;
  if (language === "traceql") {
    const list = await traceMetrics(expr, range, step, signal);
    return list.map((s) => ({
      metric: s.labels,
      values: s.points.map(([t, v]): [number, string] => [t / 1000, String(v)]),
    }));
  }
  const a = await queryRange(expr, range, step, signal);
  return a.data.resultType === "matrix" ? a.data.result : [];
}

const noSeries: Series[] = [];
const days = 7;
const step = 120;

export function MakeAlert() {
  const [params, setParams] = useParams();
  const language: Language = params.lang === "logql" || params.lang === "traceql" ? params.lang : "promql";
  const { nowMs } = useRange();
  const [draft, setDraft] = useState<Draft>(() => ({
    ...emptyDraft,
    ...(splitThreshold(params.expr ?? "") ?? { expr: params.expr ?? "" }),
  }));
  const [text, setText] = useState(draft.expr);
  const set = (change: Partial<Draft>) => setDraft({ ...draft, ...change });
  const range = { fromMs: nowMs - days * 86_400_000, toMs: nowMs };
  const q = useQuery({
    queryKey: ["backtest", language, draft.expr, nowMs],
    queryFn: ({ signal }) => courseOf(language, draft.expr, range, signal),
    enabled: draft.expr.trim() !== "",
  });
  const data = q.data ?? noSeries;
  const keys = distinguishing(data.map((s) => s.metric));
  const threshold = Number(draft.threshold);
  const hold = parseSpan(draft.holdFor || "0s") ?? 0;
  // Memoised by what it reads: a week of every series is many points.
  const fired = useMemo(
    () => (draft.threshold === "" ? [] : backtest(data.map(pointsOf), draft.op, threshold, hold, step * 1000)),
    [data, draft.op, draft.threshold, threshold, hold],
  );
  const yaml = toYaml(draft);
  return (
    <div className="col" style={{ paddingTop: 10 }}>
      <div className="query-bar">
        <select
          className="select"
          style={{ height: 34 }}
          aria-label="Language"
          value={language}
          onChange={(e) => setParams({ lang: e.target.value === "promql" ? undefined : e.target.value }, true)}
        >
          <option value="promql">PromQL</option>
          <option value="logql">LogQL</option>
          <option value="traceql">TraceQL</option>
        </select>
        <QueryEditor
          language={language}
          label="Expression"
          value={text}
          onChange={setText}
          onRun={(expr) => set(splitThreshold(expr) ?? { expr })}
          placeholder="sum by (service_name) (rate(http_server_errors_total[5m]))"
        />
        <button type="button" className="btn primary" onClick={() => set(splitThreshold(text) ?? { expr: text })}>
          Try on {days} days
        </button>
      </div>
      <div className="row wrap">
        <label className="field">
          <span>Fires when the value is</span>
          <span className="group">
            <select
              className="select"
              aria-label="Comparison"
              value={draft.op}
              onChange={(e) => set({ op: e.target.value as Draft["op"] })}
            >
              {[">", ">=", "<", "<=", "==", "!="].map((o) => (
                <option key={o}>{o}</option>
              ))}
            </select>
            <input
              className="input"
              style={{ width: 110 }}
              aria-label="Threshold"
              placeholder="threshold"
              value={draft.threshold}
              onChange={(e) => set({ threshold: e.target.value.replace(/[^\d.eE+-]/g, "") })}
            />
          </span>
        </label>
        <label className="field">
          <span>for at least</span>
          <input
            className="input"
            style={{ width: 80 }}
            value={draft.holdFor}
            onChange={(e) => set({ holdFor: e.target.value })}
            aria-invalid={draft.holdFor !== "" && parseSpan(draft.holdFor) === undefined}
          />
        </label>
        <label className="field">
          <span>Name</span>
          <input
            className="input"
            value={draft.name}
            onChange={(e) => set({ name: e.target.value })}
            placeholder="CheckoutErrors"
          />
        </label>
        <label className="field">
          <span>Severity</span>
          <select className="select" value={draft.severity} onChange={(e) => set({ severity: e.target.value })}>
            {["critical", "warning", "info"].map((s) => (
              <option key={s}>{s}</option>
            ))}
          </select>
        </label>
        <label className="field grow">
          <span>Summary</span>
          <input
            className="input"
            value={draft.summary}
            onChange={(e) => set({ summary: e.target.value })}
            placeholder="{{ $labels.service_name }} fails {{ $value | humanizePercentage }} of requests"
          />
        </label>
      </div>
      {draft.expr && (
        <section className="panel">
          <Loading on={q.isFetching} />
          <ErrorNotice error={q.error} />
          <div className="body">
            <p>
              {draft.threshold === "" ? (
                "Give a threshold to try it on the past."
              ) : (
                <>
                  In the last {days} days it would have fired <b>{plural(fired.length, "time")}</b>
                  {fired.length > 0 && `, ${duration(fired.reduce((n, f) => n + f.toMs - f.fromMs, 0) * 1e6)} in all`}.
                </>
              )}
            </p>
            <TimeChart
              label="The expression over seven days"
              lines={data
                .slice(0, 100)
                .map((s, i) => ({ name: shortName(s.metric, keys), color: seriesVar(i), points: pointsOf(s) }))}
              range={range}
              stepMs={step * 1000}
              unit={guessUnit(draft.expr)}
              height={240}
              {...(draft.threshold !== "" && Number.isFinite(threshold) ? { levels: [threshold] } : {})}
              marks={fired.slice(0, 60).map((f) => ({ ms: f.fromMs, label: "" }))}
            />
            {fired.length > 0 && (
              <details>
                <summary>When</summary>
                <ul className="small">
                  {fired.slice(0, 100).map((f, i) => (
                    <li key={i}>
                      {formatTime(f.fromMs, "local", 0)}, {duration((f.toMs - f.fromMs) * 1e6)},{" "}
                      {data[f.series] ? shortName(data[f.series]!.metric, keys) : ""}
                    </li>
                  ))}
                </ul>
              </details>
            )}
          </div>
        </section>
      )}
      <section className="panel">
        <header>
          <h3>Rule file</h3>
          <span className="muted small">Save it where --rules points; Braid reloads on SIGHUP.</span>
          <button type="button" className="btn small push" onClick={() => void copy(yaml, "Rule copied")}>
            <Copy size={13} /> Copy
          </button>
        </header>
        <pre className="body" style={{ overflow: "auto" }}>
          {yaml}
        </pre>
      </section>
    </div>
  );
}
