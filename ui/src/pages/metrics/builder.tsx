/** A PromQL query as fields. */
import { useQuery } from "@tanstack/react-query";
import { Plus, X } from "lucide-react";
import { useId } from "react";
import { labelNames, labelValues } from "@/api/prom";
import { aggregations, type Builder, fromBuilder, type Matcher, rangeFunctions } from "@/lib/promql";
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
      <select className="select" aria-label="Function" value={b.fn} onChange={(e) => set({ fn: e.target.value })}>
        <option value="">value</option>
        {rangeFunctions.map((f) => (
          <option key={f}>{f}</option>
        ))}
      </select>
      {b.fn && (
        <input
          className="input"
          style={{ width: 58 }}
          aria-label="Window"
          defaultValue={b.window}
          key={b.window}
          onBlur={(e) => /^\d+(ms|s|m|h|d|w)$/.test(e.target.value) && set({ window: e.target.value })}
        />
      )}
      <select className="select" aria-label="Aggregation" value={b.agg} onChange={(e) => set({ agg: e.target.value })}>
        <option value="">every series</option>
        {aggregations.map((a) => (
          <option key={a}>{a}</option>
        ))}
      </select>
      {(b.agg || b.quantile) && (
        <label className="check small">
          by
          <select
            className="select"
            value=""
            onChange={(e) => e.target.value && set({ by: [...b.by, e.target.value] })}
            aria-label="Group by"
          >
            <option value="">+</option>
            {names
              .filter((n) => !b.by.includes(n))
              .map((n) => (
                <option key={n}>{n}</option>
              ))}
          </select>
        </label>
      )}
      {b.by.map((l) => (
        <button
          key={l}
          type="button"
          className="chip"
          title="Remove"
          onClick={() => set({ by: b.by.filter((x) => x !== l) })}
        >
          {l} <X size={11} />
        </button>
      ))}
      <select
        className="select"
        aria-label="Quantile"
        value={b.quantile}
        onChange={(e) => set({ quantile: e.target.value, ...(e.target.value && !b.fn ? { fn: "rate" } : {}) })}
      >
        <option value="">no quantile</option>
        {["0.5", "0.9", "0.95", "0.99", "0.999"].map((p) => (
          <option key={p} value={p}>
            p{Number(p) * 100}
          </option>
        ))}
      </select>
    </div>
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
