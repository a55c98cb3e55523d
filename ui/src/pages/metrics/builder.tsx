/** A PromQL query as fields. */
import { useQuery } from "@tanstack/react-query";
import { Plus, X } from "lucide-react";
import { useId } from "react";
import { labelNames, labelValues } from "@/api/prom";
import {
  aggregation,
  aggregations,
  type Builder,
  counted,
  fromBuilder,
  type Matcher,
  operators,
  rangeFunctions,
  type Step,
  valueFunctions,
} from "@/lib/promql";
import { useRange } from "@/shell/range";
import { useMetricList } from "./browser";

export function BuilderForm({ value: b, onChange }: { value: Builder; onChange: (query: string) => void }) {
  const { range } = useRange();
  const { list } = useMetricList();
  const id = useId();
  const labels = useQuery({
    queryKey: ["labels-of", b.metric],
    queryFn: ({ signal }) => labelNames(b.metric || undefined, range, signal),
    enabled: b.metric !== "",
    staleTime: 60_000,
    retry: false,
  });
  const names = (labels.data ?? []).filter((l) => l !== "__name__" && l !== "le");
  const set = (change: Partial<Builder>) => onChange(fromBuilder({ ...b, ...change }));
  const setMatcher = (i: number, m: Matcher | undefined) =>
    set({ matchers: b.matchers.flatMap((x, j) => (j === i ? (m ? [m] : []) : [x])) });
  return (
    <div className="row wrap grow panel" style={{ padding: 6 }}>
      <input
        className="input"
        style={{ width: 300 }}
        list={`${id}-m`}
        aria-label="Metric"
        placeholder="metric"
        defaultValue={b.metric}
        key={b.metric}
        onBlur={(e) => e.target.value !== b.metric && set({ metric: e.target.value })}
        onKeyDown={(e) => e.key === "Enter" && set({ metric: e.currentTarget.value })}
      />
      <datalist id={`${id}-m`}>
        {list.slice(0, 2000).map((m) => (
          <option key={m.name} value={m.name} />
        ))}
      </datalist>
      {b.matchers.map((m, i) => (
        <MatcherField
          key={`${m.name}${i}`}
          value={m}
          metric={b.metric}
          names={names}
          onChange={(x) => setMatcher(i, x)}
        />
      ))}
      <button
        type="button"
        className="btn small"
        onClick={() => set({ matchers: [...b.matchers, { name: names[0] ?? "job", op: "=~", value: ".+" }] })}
      >
        <Plus size={13} /> Filter
      </button>
      <select
        className="select"
        aria-label="Function"
        style={{ width: 128 }}
        value={b.fn}
        onChange={(e) => set({ fn: e.target.value })}
      >
        <option value="">value</option>
        {rangeFunctions.map((f) => (
          <option key={f}>{f}</option>
        ))}
      </select>
      {b.fn && <Text label="Window" width={58} value={b.window} fits={isSpan} onChange={(window) => set({ window })} />}
      <span className="check small">
        offset
        <Text
          label="Offset"
          width={58}
          value={b.offset}
          hint="none"
          fits={(v) => v === "" || isSpan(v)}
          onChange={(offset) => set({ offset })}
        />
      </span>
      {b.steps.map((s, i) => (
        <StepField
          key={`${i}${s.kind}`}
          value={s}
          names={names}
          onChange={(x) => set({ steps: b.steps.flatMap((old, j) => (j === i ? (x ? [x] : []) : [old])) })}
        />
      ))}
      <select
        className="select"
        aria-label="Add a step"
        style={{ width: 92 }}
        value=""
        onChange={(e) => {
          const step = stepOf(e.target.value);
          if (step) set({ steps: [...b.steps, step] });
        }}
      >
        <option value="">+ step</option>
        <optgroup label="Aggregate">
          {aggregations.map((x) => (
            <option key={x} value={`agg ${x}`}>
              {x}
            </option>
          ))}
        </optgroup>
        <optgroup label="Histogram">
          <option value="quantile">quantile of a histogram</option>
        </optgroup>
        <optgroup label="Math">
          <option value="math *">multiply</option>
          <option value="math /">divide</option>
          <option value="math +">add</option>
          <option value="math -">subtract</option>
        </optgroup>
        <optgroup label="Functions">
          {Object.keys(valueFunctions).map((x) => (
            <option key={x} value={`fn ${x}`}>
              {x}
            </option>
          ))}
        </optgroup>
      </select>
    </div>
  );
}

const isSpan = (v: string) => /^(\d+(ms|s|m|h|d|w|y))+$/.test(v);
const isNumber = (v: string) => /^-?\d+(\.\d+)?(e[+-]?\d+)?$/i.test(v);
const isPositive = (v: string) => isNumber(v) && !v.startsWith("-");

function stepOf(choice: string): Step | undefined {
  const [kind, what = ""] = choice.split(" ");
  if (kind === "agg") return aggregation(what);
  if (kind === "quantile") return { kind: "quantile", q: "0.95" };
  if (kind === "fn") return { kind: "fn", name: what, param: valueFunctions[what] ?? "" };
  if (kind === "math") return { kind: "math", op: what, number: what === "/" ? "60" : what === "*" ? "100" : "1" };
  return undefined;
}

/** A text that counts when it is done and fits. */
function Text({
  label,
  value,
  width,
  hint,
  fits,
  onChange,
}: {
  label: string;
  value: string;
  width: number;
  hint?: string;
  fits: (v: string) => boolean;
  onChange: (v: string) => void;
}) {
  const done = (v: string) => v !== value && fits(v) && onChange(v);
  return (
    <input
      className="input"
      style={{ width }}
      aria-label={label}
      placeholder={hint}
      defaultValue={value}
      key={value}
      onBlur={(e) => done(e.target.value.trim())}
      onKeyDown={(e) => e.key === "Enter" && done(e.currentTarget.value.trim())}
    />
  );
}

const quantiles = ["0.5", "0.9", "0.95", "0.99", "0.999"];

/** One thing that is done to the series. */
function StepField({
  value: s,
  names,
  onChange,
}: {
  value: Step;
  names: readonly string[];
  onChange: (s: Step | undefined) => void;
}) {
  const remove = (
    <button type="button" className="btn icon" aria-label="Remove the step" onClick={() => onChange(undefined)}>
      <X size={13} />
    </button>
  );
  if (s.kind === "quantile")
    return (
      <span className="group">
        <select
          className="select"
          aria-label="Quantile"
          value={s.q}
          onChange={(e) => onChange({ ...s, q: e.target.value })}
        >
          {[...new Set([...quantiles, s.q])].map((p) => (
            <option key={p} value={p}>
              p{Number((Number(p) * 100).toFixed(4))}
            </option>
          ))}
        </select>
        {remove}
      </span>
    );
  if (s.kind === "fn")
    return (
      <span className="group">
        <select
          className="select"
          aria-label="Value function"
          value={s.name}
          onChange={(e) => onChange({ kind: "fn", name: e.target.value, param: valueFunctions[e.target.value] ?? "" })}
        >
          {Object.keys(valueFunctions).map((f) => (
            <option key={f}>{f}</option>
          ))}
        </select>
        {s.param && (
          <Text
            label={`Limit of ${s.name}`}
            width={58}
            value={s.param}
            fits={isNumber}
            onChange={(param) => onChange({ ...s, param })}
          />
        )}
        {remove}
      </span>
    );
  if (s.kind === "math")
    return (
      <span className="group">
        <select
          className="select"
          aria-label="Operator"
          value={s.op}
          onChange={(e) => onChange({ ...s, op: e.target.value })}
        >
          {operators.map((o) => (
            <option key={o} value={o}>
              {{ "*": "×", "/": "÷" }[o] ?? o}
            </option>
          ))}
        </select>
        <Text
          label="Number"
          width={64}
          value={s.number}
          fits={isPositive}
          onChange={(n) => onChange({ ...s, number: n })}
        />
        {remove}
      </span>
    );
  return (
    <span className="row wrap" style={{ gap: 4 }}>
      <span className="group">
        <select
          className="select"
          aria-label="Aggregation"
          value={s.op}
          onChange={(e) => onChange({ ...s, op: e.target.value, param: counted[e.target.value] ?? "" })}
        >
          {aggregations.map((a) => (
            <option key={a}>{a}</option>
          ))}
        </select>
        {s.param && (
          <Text
            label={`Number of ${s.op}`}
            width={52}
            value={s.param}
            fits={isNumber}
            onChange={(param) => onChange({ ...s, param })}
          />
        )}
        <select
          className="select"
          aria-label="By or without"
          value={s.without ? "without" : "by"}
          onChange={(e) => onChange({ ...s, without: e.target.value === "without" })}
        >
          <option>by</option>
          <option>without</option>
        </select>
        <select
          className="select"
          value=""
          onChange={(e) => e.target.value && onChange({ ...s, labels: [...s.labels, e.target.value] })}
          aria-label="Group by"
          title="Add a label"
          style={{ width: 44 }}
        >
          <option value="">+</option>
          {names
            .filter((n) => !s.labels.includes(n))
            .map((n) => (
              <option key={n}>{n}</option>
            ))}
        </select>
        {remove}
      </span>
      {s.labels.map((l) => (
        <button
          key={l}
          type="button"
          className="chip"
          title="Remove"
          onClick={() => onChange({ ...s, labels: s.labels.filter((x) => x !== l) })}
        >
          {l} <X size={11} />
        </button>
      ))}
    </span>
  );
}

function MatcherField({
  value: m,
  metric,
  names,
  onChange,
}: {
  value: Matcher;
  metric: string;
  names: readonly string[];
  onChange: (m: Matcher | undefined) => void;
}) {
  const id = useId();
  const values = useQuery({
    queryKey: ["values-of", metric, m.name],
    queryFn: ({ signal }) => labelValues(m.name, metric || undefined, undefined, signal),
    staleTime: 60_000,
    retry: false,
  });
  return (
    <span className="group">
      <select
        className="select"
        aria-label="Label"
        value={m.name}
        onChange={(e) => onChange({ ...m, name: e.target.value })}
      >
        {[...new Set([m.name, ...names])].map((n) => (
          <option key={n}>{n}</option>
        ))}
      </select>
      <select
        className="select"
        aria-label="Comparison"
        value={m.op}
        onChange={(e) => onChange({ ...m, op: e.target.value as Matcher["op"] })}
      >
        {["=", "!=", "=~", "!~"].map((o) => (
          <option key={o}>{o}</option>
        ))}
      </select>
      <input
        className="input"
        style={{ width: 140 }}
        list={id}
        aria-label={`Value of ${m.name}`}
        defaultValue={m.value}
        key={m.value}
        onBlur={(e) => e.target.value !== m.value && onChange({ ...m, value: e.target.value })}
        onKeyDown={(e) => e.key === "Enter" && onChange({ ...m, value: e.currentTarget.value })}
      />
      <datalist id={id}>
        {(values.data ?? []).slice(0, 500).map((v) => (
          <option key={v} value={v} />
        ))}
      </datalist>
      <button type="button" className="btn icon" aria-label="Remove the filter" onClick={() => onChange(undefined)}>
        <X size={13} />
      </button>
    </span>
  );
}
