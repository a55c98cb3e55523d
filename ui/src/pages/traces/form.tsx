/** The most asked conditions as fields; the query above says the same. */
import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { tagValues } from "@/api/tempo";
import { parseSpan } from "@/lib/time";
import { toForm, toQuery, type TraceForm } from "@/lib/traceql";
import { useRange } from "@/shell/range";
import { useServiceNames } from "@/shell/search-box";

export function SearchForm({ query, onQuery }: { query: string; onQuery: (q: string) => void }) {
  const form = toForm(query);
  const services = useServiceNames();
  const { range } = useRange();
  const names = useQuery({
    queryKey: ["span-names", form?.service],
    queryFn: ({ signal }) =>
      tagValues(
        "name",
        range,
        form?.service ? `{ resource.service.name = ${JSON.stringify(form.service)} }` : undefined,
        signal,
      ),
    enabled: Boolean(form),
    staleTime: 60_000,
    retry: false,
  });
  if (!form) return <p className="muted small">This query says more than the form can show.</p>;
  const set = (change: Partial<TraceForm>) => onQuery(toQuery({ ...form, ...change }));
  return (
    <div className="row wrap">
      <select
        className="select"
        aria-label="Service"
        value={form.service}
        onChange={(e) => set({ service: e.target.value, name: "" })}
      >
        <option value="">Any service</option>
        {[...new Set([...services, form.service])].filter(Boolean).map((s) => (
          <option key={s}>{s}</option>
        ))}
      </select>
      <select
        className="select"
        aria-label="Operation"
        value={form.name}
        onChange={(e) => set({ name: e.target.value })}
        style={{ maxWidth: 280 }}
      >
        <option value="">Any operation</option>
        {[...new Set([...(names.data ?? []).map((v) => v.value), form.name])].filter(Boolean).map((s) => (
          <option key={s}>{s}</option>
        ))}
      </select>
      <select
        className="select"
        aria-label="Status"
        value={form.status}
        onChange={(e) => set({ status: e.target.value })}
      >
        <option value="">Any status</option>
        <option value="error">error</option>
        <option value="ok">ok</option>
        <option value="unset">unset</option>
      </select>
      <SpanField label="at least" value={form.min} onValue={(min) => set({ min })} />
      <SpanField label="at most" value={form.max} onValue={(max) => set({ max })} />
      {(query !== "{ }" || form.rest) && (
        <button type="button" className="btn small ghost" onClick={() => onQuery("{ }")}>
          Clear
        </button>
      )}
    </div>
  );
}

function SpanField({ label, value, onValue }: { label: string; value: string; onValue: (v: string) => void }) {
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  const ok = text === "" || parseSpan(text) !== undefined || /^\d+(\.\d+)?(ns|us|µs)$/.test(text);
  const apply = () => ok && text !== value && onValue(text.replace(/\s/g, ""));
  return (
    <label className="check small">
      <span className="muted">{label}</span>
      <input
        className="input"
        style={{ width: 82 }}
        value={text}
        placeholder="500ms"
        aria-invalid={!ok}
        onChange={(e) => setText(e.target.value)}
        onBlur={apply}
        onKeyDown={(e) => e.key === "Enter" && apply()}
      />
    </label>
  );
}
