/** The query of a rule against its threshold, and when it fired. */
import { seriesVar } from "@/lib/series";
import { guessUnit } from "@/lib/format";
import { splitThreshold, unwrap } from "@/lib/rules";
import { TimeChart } from "@/parts/chart";
import type { Language } from "@/parts/editor";
import { ErrorNotice, Loading } from "@/parts/feedback";
import { useMetricLines } from "@/pages/metrics/use-metrics";
import { useRange } from "@/shell/range";
import { A, href } from "@/shell/url";
import type { Rule } from "@/api/prom";

export function RuleChart({ rule }: { rule: Rule }) {
  const cut = splitThreshold(rule.query);
  const expr = cut?.expr ?? rule.query;
  // LogQL and TraceQL stand in virtual selectors, which PromQL answers.
  return <PromChart expr={expr} whole={rule.query} level={cut ? Number(cut.threshold) : undefined} name={rule.name} />;
}

const pages: Record<Language, string> = {
  promql: "/explore/metrics",
  logql: "/explore/logs",
  traceql: "/explore/traces",
};

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
  const plain = unwrap(expr);
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
        <A className="small nowrap" to={href(pages[plain.language], { ...carry, q: plain.expr })}>
          open the query
        </A>
      </p>
    </div>
  );
}
