/** A rule made from a query in any of the three languages: tried on the past, then created through the rule API. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Copy, Save } from "lucide-react";
import { useMemo, useState } from "react";
import { type Labels, queryRange, type RuleGroup, type Series } from "@/api/prom";
import { dropRule, isOwnGroup, putRule, type Trial, type TrialTime, tryRule } from "@/api/rules";
import { byUnit, duration, guessUnit, plural } from "@/lib/format";
import {
  type Draft,
  emptyDraft,
  fullExpr,
  parseLabels,
  splitThreshold,
  toRule,
  toYaml,
  unwrap,
  virtual,
} from "@/lib/rules";
import { distinguishing, seriesVar, shortName } from "@/lib/series";
import { parseSpan } from "@/lib/time";
import { TimeChart } from "@/parts/chart";
import { type Language, QueryEditor } from "@/parts/editor";
import { ErrorNotice, Notice, Warnings } from "@/parts/feedback";
import { Progress, useRun } from "@/parts/progress";
import { Time } from "@/parts/show";
import { copy, toast } from "@/parts/toast";
import { pointsOf } from "@/pages/metrics/use-metrics";
import { useRange } from "@/shell/range";
import { useParams } from "@/shell/url";

const noSeries: Series[] = [];
const spans = [1, 7, 30];

/** The draft is in the URL, field by field. */
const keys = {
  name: "name",
  op: "op",
  threshold: "than",
  holdFor: "for",
  severity: "sev",
  summary: "sum",
  runbook: "run",
  labels: "labels",
} as const;

export function draftParams(d: Draft): Record<string, string | undefined> {
  return {
    tab: "make",
    lang: d.language === "promql" ? undefined : d.language,
    expr: d.expr,
    ...Object.fromEntries(
      Object.entries(keys).map(([k, p]) => {
        const v = d[k as keyof typeof keys];
        return [p, v === emptyDraft[k as keyof typeof keys] ? undefined : v || "none"];
      }),
    ),
  };
}

function draftFrom(params: Record<string, string>): Draft {
  const d: Draft = { ...emptyDraft };
  for (const [k, p] of Object.entries(keys)) {
    const v = params[p];
    if (v !== undefined) Object.assign(d, { [k]: v === "none" ? "" : v });
  }
  const cut = params[keys.threshold] === undefined ? splitThreshold(params.expr ?? "") : undefined;
  const language: Language = params.lang === "logql" || params.lang === "traceql" ? params.lang : "promql";
  const inner = cut?.expr ?? params.expr ?? "";
  const plain = language === "promql" ? unwrap(inner) : { language, expr: inner };
  return { ...d, ...plain, ...(cut ? { op: cut.op, threshold: cut.threshold } : {}) };
}

export function MakeAlert({ groups }: { groups: readonly RuleGroup[] }) {
  const [params, setParams] = useParams();
  const { nowMs } = useRange();
  const client = useQueryClient();
  const draft = useMemo(() => draftFrom(params), [params]);
  const [text, setText] = useState(draft.expr);
  const days = spans.includes(Number(params.days)) ? Number(params.days) : 7;
  const set = (change: Partial<Draft>) => setParams(draftParams({ ...draft, ...change }), true);
  const tried = (expr: string) => {
    const cut = splitThreshold(expr);
    set({ ...unwrap(cut?.expr ?? expr), ...(draft.language === "promql" ? {} : { language: draft.language }), ...cut });
    setText(cut?.expr ?? expr);
  };

  // A rule holds at every evaluation: the step is fine enough to see that, and coarse enough to be answered.
  const step = Math.max(60, Math.ceil((days * 86_400) / 5000 / 60) * 60);
  const range = useMemo(() => ({ fromMs: nowMs - days * 86_400_000, toMs: nowMs }), [nowMs, days]);
  const asked = virtual(draft.language, draft.expr);
  const chartKey = ["backtest", asked, range.fromMs, step];
  const q = useQuery({
    queryKey: chartKey,
    queryFn: ({ signal }) => queryRange(asked, range, step, signal),
    enabled: draft.expr.trim() !== "",
    retry: false,
  });
  const data = q.data?.data.resultType === "matrix" ? q.data.data.result : noSeries;
  const names = distinguishing(data.map((s) => s.metric));
  const threshold = Number(draft.threshold);
  const hold = parseSpan(draft.holdFor || "0s");
  // What counts is what the server's own rules would have done; the chart shows the values behind it.
  const attempt = {
    language: draft.language,
    expr: draft.expr,
    ...(draft.threshold === "" ? {} : { op: draft.op, threshold }),
    ...(draft.holdFor ? { for: draft.holdFor } : {}),
    interval: "1m",
    start: String(Math.floor(range.fromMs / 1000)),
    end: String(Math.floor(range.toMs / 1000)),
  };
  const trialKey = ["try", attempt];
  const possible = draft.expr.trim() !== "" && hold !== undefined && !Number.isNaN(threshold);
  const trial = useQuery({
    queryKey: trialKey,
    queryFn: ({ signal }) => tryRule(attempt, signal),
    enabled: possible,
    retry: false,
  });
  const run = useRun(
    ...(draft.expr.trim() === "" ? [] : [{ key: chartKey, q }]),
    ...(possible ? [{ key: trialKey, q: trial }] : []),
  );
  const fired = firingsOf(trial.data);

  const editing = params.rule;
  const taken = groups.some((g) => isOwnGroup(g) && g.name === draft.name) && draft.name !== editing;
  const save = useMutation({
    mutationFn: async () => {
      await putRule(toRule(draft));
      if (editing && editing !== draft.name) await dropRule(editing);
    },
    onSuccess: async () => {
      toast(editing ? `${draft.name} is changed` : `${draft.name} is watched from now on`);
      await client.invalidateQueries({ queryKey: ["rules"] });
      setParams({
        ...Object.fromEntries(Object.keys(draftParams(draft)).map((k) => [k, undefined])),
        rule: undefined,
        days: undefined,
        tab: "rules",
      });
    },
  });
  const missing = [
    draft.expr.trim() === "" && "an expression",
    draft.name.trim() === "" && "a name",
    draft.holdFor !== "" && hold === undefined && "a time such as 5m",
    parseLabels(draft.labels) === undefined && "labels such as team=shop",
  ].filter(Boolean);
  const yaml = toYaml(draft);
  return (
    <form
      className="col"
      style={{ paddingTop: 10 }}
      onSubmit={(e) => {
        e.preventDefault();
        if (missing.length === 0) save.mutate();
      }}
    >
      {editing && (
        <Notice
          action={
            <button type="button" className="btn small" onClick={() => setParams({ rule: undefined })}>
              Make a new one instead
            </button>
          }
        >
          This changes the rule <b>{editing}</b>.
        </Notice>
      )}
      <div className="query-bar">
        <select
          className="select"
          style={{ height: 34 }}
          aria-label="Language"
          value={draft.language}
          onChange={(e) => set({ language: e.target.value as Language, expr: text })}
        >
          <option value="promql">PromQL</option>
          <option value="logql">LogQL</option>
          <option value="traceql">TraceQL</option>
        </select>
        <QueryEditor
          language={draft.language}
          label="Expression"
          value={text}
          onChange={setText}
          onRun={tried}
          placeholder={placeholders[draft.language]}
        />
        <button type="button" className="btn primary" onClick={() => tried(text)}>
          Try on the past
        </button>
      </div>
      <div className="row wrap" style={{ alignItems: "end" }}>
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
              style={{ width: 100 }}
              aria-label="Threshold"
              placeholder="threshold"
              value={draft.threshold}
              onChange={(e) => set({ threshold: e.target.value.replace(/[^\d.eE+-]/g, "") })}
            />
          </span>
        </label>
        <Field
          label="for at least"
          width={76}
          value={draft.holdFor}
          bad={hold === undefined}
          onChange={(v) => set({ holdFor: v })}
        />
        <Field label="Name" width={190} value={draft.name} hint="CheckoutErrors" onChange={(v) => set({ name: v })} />
        <label className="field">
          <span>Severity</span>
          <select className="select" value={draft.severity} onChange={(e) => set({ severity: e.target.value })}>
            {[...new Set(["critical", "page", "warning", "info", draft.severity])].map((s) => (
              <option key={s} value={s}>
                {s || "none"}
              </option>
            ))}
          </select>
        </label>
        <Field
          label="More labels"
          width={170}
          value={draft.labels}
          hint="team=shop"
          bad={parseLabels(draft.labels) === undefined}
          onChange={(v) => set({ labels: v })}
        />
        <Field
          label="Runbook"
          width={200}
          value={draft.runbook}
          hint="https://…"
          onChange={(v) => set({ runbook: v })}
        />
      </div>
      <Field
        label="Summary"
        value={draft.summary}
        hint="{{ $labels.service_name }} fails {{ $value | humanizePercentage }} of requests"
        onChange={(v) => set({ summary: v })}
      />
      {draft.expr && (
        <section className="panel" aria-label="Back-test">
          <Progress run={run} />
          <ErrorNotice
            error={trial.error ?? q.error}
            retry={() => {
              void trial.refetch();
              void q.refetch();
            }}
          />
          <Warnings list={q.data?.warnings} />
          <div className="body">
            <div className="row wrap">
              <p className="grow">
                <Verdict trial={trial.data} days={days} noValue={q.isSuccess && data.length === 0} open={draft} />
                {run.running && !trial.data && "Asking the past…"}
              </p>
              <span className="group" role="group" aria-label="How far back">
                {spans.map((n) => (
                  <button
                    key={n}
                    type="button"
                    className="btn small"
                    aria-pressed={days === n}
                    onClick={() => setParams({ days: n === 7 ? undefined : String(n) }, true)}
                  >
                    {plural(n, "day")}
                  </button>
                ))}
              </span>
            </div>
            <TimeChart
              label={`The expression over ${days} days`}
              lines={data
                .slice(0, 100)
                .map((s, i) => ({ name: shortName(s.metric, names), color: seriesVar(i), points: pointsOf(s) }))}
              range={range}
              stepMs={step * 1000}
              unit={guessUnit(draft.expr)}
              height={240}
              {...(draft.threshold !== "" && Number.isFinite(threshold) ? { levels: [threshold] } : {})}
              marks={fired.slice(0, 60).map((f) => ({ ms: f.firedMs, label: "" }))}
            />
            {fired.length > 0 && (
              <details>
                <summary>When it would have fired</summary>
                <ul className="small">
                  {fired.slice(0, 100).map((f) => (
                    <li key={`${JSON.stringify(f.labels)}${f.firedMs}`}>
                      <Time ms={f.firedMs} />, {duration((f.endMs - f.firedMs) * 1e6)}
                      {f.open && " so far"}
                      {f.peak !== undefined && `, up to ${byUnit(f.peak, guessUnit(draft.expr))}`},{" "}
                      <bdi>{shortName(f.labels, names)}</bdi>
                    </li>
                  ))}
                </ul>
              </details>
            )}
          </div>
        </section>
      )}
      <ErrorNotice error={save.error} />
      <div className="row wrap">
        <button type="submit" className="btn primary" disabled={missing.length > 0 || save.isPending}>
          <Save size={14} /> {editing ? "Save the rule" : "Create the rule"}
        </button>
        <button type="button" className="btn" onClick={() => void copy(yaml, "Rule copied")}>
          <Copy size={13} /> Copy as a rule file
        </button>
        <span className="muted small" role="status">
          {missing.length > 0
            ? `It needs ${missing.join(", ")}.`
            : taken
              ? `A rule ${draft.name} exists and will be replaced.`
              : "Kept on the server, evaluated every minute, in force at once."}
        </span>
      </div>
      <details>
        <summary className="muted small">As a rule file, for --rules</summary>
        <pre className="code-block">{yaml}</pre>
      </details>
      {draft.language !== "promql" && (
        <p className="muted small">
          The rule asks by a virtual selector: <code>{fullExpr(draft).slice(0, 300)}</code>
        </p>
      )}
    </form>
  );
}

type Fired = TrialTime & { firedMs: number; labels: Labels };

/** What fired, of every series, earliest first. */
const firingsOf = (t: Trial | undefined): Fired[] =>
  (t?.series ?? [])
    .flatMap((s) =>
      s.times.flatMap((x) => (x.firedMs === undefined ? [] : [{ ...x, firedMs: x.firedMs, labels: s.labels }])),
    )
    .sort((a, b) => a.firedMs - b.firedMs);

/** In words: how often, how long, how often almost. */
function Verdict({
  trial: t,
  days,
  noValue,
  open,
}: {
  trial: Trial | undefined;
  days: number;
  noValue: boolean;
  open: Draft;
}) {
  if (!t) return null;
  if (noValue) return `The expression has no value in the last ${plural(days, "day")}: it would not have fired.`;
  return (
    <>
      In the last {plural(days, "day")} it would have fired <b>{plural(t.firings, "time")}</b>
      {t.firings > 0 && `, ${duration(t.firingSeconds * 1e9)} in all`}
      {t.pendingOnly > 0 && `, and would have been pending ${plural(t.pendingOnly, "more time")} without firing`}
      {open.threshold === "" && ": without a threshold, every value fires"}.{" "}
      <span className="faint small">
        {t.truncated && "There were more: the first 2,000 are counted. "}
        {plural(t.evaluations, "evaluation")}, every minute.
      </span>
    </>
  );
}

const placeholders: Record<Language, string> = {
  promql: "sum by (service_name) (rate(http_server_errors_total[5m]))",
  logql: 'sum by (service_name) (count_over_time({service_name=~".+"} | detected_level="error" [5m]))',
  traceql: "{ status = error } | rate() by (resource.service.name)",
};

function Field({
  label,
  value,
  onChange,
  width,
  hint,
  bad = false,
}: {
  label: string;
  value: string;
  onChange: (v: string) => void;
  width?: number;
  hint?: string;
  bad?: boolean;
}) {
  return (
    <label className={width ? "field" : "field grow"}>
      <span>{label}</span>
      <input
        className="input"
        style={width ? { width } : undefined}
        value={value}
        placeholder={hint}
        aria-invalid={bad}
        onChange={(e) => onChange(e.target.value)}
      />
    </label>
  );
}
