/** Fields of the records that match, each with its most frequent values. */
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { type DetectedField, instantLogMetric } from "@/api/loki";
import { count, percent } from "@/lib/format";
import { labelName, topValuesQuery } from "@/lib/logql";
import { ErrorNotice, Loading } from "@/parts/feedback";
import { Value } from "@/parts/value";
import { useRange } from "@/shell/range";
import { useLogFields } from "./use-logs";

interface Props {
  query: string;
  columns: readonly string[];
  onColumns: (columns: string[]) => void;
  onFilter: (field: string, op: "=" | "!=", value: string) => void;
}

/** Fields that open by themselves, when the records have them. */
const first = ["detected_level", "service_name", "severity", "http_route", "http_response_status_code", "k8s_pod_name"];

export function FieldRail({ query, columns, onColumns, onFilter }: Props) {
  const { range } = useRange();
  const [find, setFind] = useState("");
  const q = useLogFields(query, range);
  const rank = (f: DetectedField) => {
    const i = first.indexOf(f.label);
    return i < 0 ? first.length : i;
  };
  const list = (q.data ?? [])
    .filter((f) => f.label.toLowerCase().includes(find.toLowerCase()))
    .sort((a, b) => rank(a) - rank(b) || a.label.localeCompare(b.label));
  return (
    <aside className="panel rail" aria-label="Fields">
      <div style={{ padding: 8 }}>
        <input
          className="input"
          style={{ width: "100%" }}
          placeholder="Find a field"
          aria-label="Find a field"
          value={find}
          onChange={(e) => setFind(e.target.value)}
          data-shortcut="fields"
        />
      </div>
      <Loading on={q.isFetching} />
      <ErrorNotice error={q.error} />
      {list.slice(0, 300).map((f) => (
        <Field
          key={f.label}
          field={f}
          query={query}
          open={rank(f) < 2}
          shown={columns.includes(f.label)}
          onFilter={onFilter}
          onShow={(on) => onColumns(on ? [...columns, f.label] : columns.filter((c) => c !== f.label))}
        />
      ))}
      {q.data && list.length === 0 && (
        <p className="muted" style={{ padding: 9 }}>
          {find ? "No field has this name." : "The records have no fields."}
        </p>
      )}
    </aside>
  );
}

interface FieldProps {
  field: DetectedField;
  query: string;
  open: boolean;
  shown: boolean;
  onShow: (on: boolean) => void;
  onFilter: Props["onFilter"];
}

function Field({ field, query, open, shown, onShow, onFilter }: FieldProps) {
  const [isOpen, setOpen] = useState(open);
  return (
    <details open={isOpen} onToggle={(e) => setOpen(e.currentTarget.open)}>
      <summary>
        <span aria-hidden className="faint">
          {isOpen ? "▾" : "▸"}
        </span>
        <bdi className="cut grow">{field.label}</bdi>
        {field.cardinality > 0 && (
          <span className="faint num" title={`${field.cardinality} different values`}>
            {count(field.cardinality)}
          </span>
        )}
      </summary>
      {isOpen && (
        <>
          <Values field={field} query={query} onFilter={onFilter} />
          <label className="check" style={{ padding: "3px 9px 7px 16px" }}>
            <input type="checkbox" checked={shown} onChange={(e) => onShow(e.target.checked)} /> show as a column
          </label>
        </>
      )}
    </details>
  );
}

const most = 10;

function Values({ field, query, onFilter }: { field: DetectedField; query: string; onFilter: Props["onFilter"] }) {
  const { range } = useRange();
  const parser = field.parsers?.find((p) => p === "json" || p === "logfmt");
  const expr = topValuesQuery(query, field.label, parser, (range.toMs - range.fromMs) / 1000, most);
  const q = useQuery({
    queryKey: ["top-values", expr, range.toMs],
    queryFn: ({ signal }) => instantLogMetric(expr, range.toMs, signal),
  });
  const rows = [...(q.data ?? [])].sort((a, b) => b.value - a.value);
  const total = rows.reduce((n, r) => n + r.value, 0);
  return (
    <div>
      <Loading on={q.isFetching} />
      <ErrorNotice error={q.error} />
      {rows.map((r) => {
        const v = r.metric[labelName(field.label)] ?? r.metric[field.label] ?? "";
        return (
          <div key={v} className="facet">
            <span className="cut">
              <Value field={field.label} value={v} />
            </span>
            <span className="acts">
              <button
                type="button"
                aria-label={`Only ${v}`}
                title="Only this"
                onClick={() => onFilter(field.label, "=", v)}
              >
                +
              </button>
              <button
                type="button"
                aria-label={`Without ${v}`}
                title="Without this"
                onClick={() => onFilter(field.label, "!=", v)}
              >
                −
              </button>
            </span>
            <span className="faint num" title={`${r.value} records`}>
              {count(r.value)} · {percent(total ? r.value / total : 0)}
            </span>
            <div className="bar">
              <i style={{ width: `${total ? (r.value / total) * 100 : 0}%` }} />
            </div>
          </div>
        );
      })}
      {q.data && rows.length === 0 && (
        <p className="faint" style={{ padding: "2px 16px" }}>
          no values in this range
        </p>
      )}
    </div>
  );
}
