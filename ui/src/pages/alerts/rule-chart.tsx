/** The query of a rule against its threshold, and when it fired. */
import { seriesVar } from "@/lib/series";
import { guessUnit } from "@/lib/format";
import { splitThreshold } from "@/lib/rules";
import { TimeChart } from "@/parts/chart";
import { ErrorNotice, Loading } from "@/parts/feedback";
import { LogMetric } from "@/pages/logs/metric";
import { TraceMetric } from "@/pages/traces/metric";
import { useMetricLines } from "@/pages/metrics/use-metrics";
import { useRange } from "@/shell/range";
import { A, href } from "@/shell/url";
import type { Rule } from "@/api/prom";

/** Which language a rule speaks: Braid's rules may be LogQL and TraceQL too. */
export function languageOf(expr: string): "promql" | "logql" | "traceql" {
  if (/\|\s*(rate|count_over_time|quantile_over_time|\w+_over_time)\s*\(/.test(expr) && /^\s*\{/.test(expr))
    return "traceql";
  if (
    /\}\s*(\|[=~]|!=|!~|\|\s*\w+|\[)/.test(expr) &&
    /(\|=|\|~|\|\s*(json|logfmt|pattern|unwrap|regexp)|service_name)/.test(expr) &&
    /\{[^}]*\}\s*(\||!=|!~|\[)/.test(expr) &&
    /(count_over_time|rate|bytes_|_over_time)\s*\(\s*\{/.test(expr)
  )
    return "logql";
  return "promql";
}

export function RuleChart({ rule }: { rule: Rule }) {
  const cut = splitThreshold(rule.query);
  const expr = cut?.expr ?? rule.query;
  const language = languageOf(rule.query);
  if (language === "logql") return <LogMetric query={expr} />;
  if (language === "traceql") return <TraceMetric query={expr} height={200} />;
  return <PromChart expr={expr} whole={rule.query} level={cut ? Number(cut.threshold) : undefined} name={rule.name} />;
}

function PromChart({
  expr,
  whole,
  level,
  name,
}: {
  expr: string;
  whole: string;
  level: number | undefined;
  name: string;
}) {
  const { range, zoomTo, carry } = useRange();
  const value = useMetricLines([{ slot: "a", query: expr }], range);
  const fired = useMetricLines(
    [{ slot: "b", query: `max by (alertstate) (ALERTS{alertname=${JSON.stringify(name)}})` }],
    range,
  );
  const marks = fired.lines
    .filter((l) => l.labels.alertstate === "firing")
    .flatMap((l) =>
      l.points
        .filter(([t], i) => i === 0 || t - l.points[i - 1]![0] > fired.step * 1500)
        .map(([ms]) => ({ ms, label: "fired" })),
    );
  return (
    <div>
      <Loading on={value.fetching} />
      {value.errors.map((e) => (
        <ErrorNotice key={e.slot} error={e.error} />
      ))}
      <TimeChart
        label={`${expr} against its threshold`}
        lines={value.lines.map((l, i) => ({ ...l, color: seriesVar(i) }))}
        range={range}
        stepMs={value.step * 1000}
        height={200}
        unit={guessUnit(expr)}
        marks={marks}
        {...(level === undefined ? {} : { levels: [level] })}
        onZoom={zoomTo}
      />
      <p className="row">
        <code className="cut muted grow">{whole}</code>
        <A className="small nowrap" to={href("/explore/metrics", { ...carry, q: expr })}>
          open in metrics
        </A>
      </p>
    </div>
  );
}
