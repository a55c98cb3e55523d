/** Fields of the records that match, each with its most frequent values. */
import { useState } from "react";
import { count, percent, plural, whole } from "@/lib/format";
import { ErrorNotice } from "@/parts/feedback";
import { Progress } from "@/parts/progress";
import { Value } from "@/parts/value";
import { useRange } from "@/shell/range";
import { type LogField, useLogFields, useTopValues } from "./use-logs";

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
  const { q, run } = useLogFields(query, range);
  const rank = (f: LogField) => {
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
      <Progress run={run} />
      <ErrorNotice error={q.error} retry={() => void q.refetch()} />
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
  field: LogField;
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
        {field.records !== undefined && (
          <span className="faint num" title={`${plural(field.records, "record")} of all that match have it`}>
            {count(field.records)}
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

function Values({ field, query, onFilter }: { field: LogField; query: string; onFilter: Props["onFilter"] }) {
  const { range } = useRange();
  const { q, run } = useTopValues(query, field, range, most);
  const top = q.data;
  const share = (n: number) => (top?.total ? n / top.total : 0);
  const others = top?.distinct === undefined ? 0 : top.distinct - top.values.length;
  return (
    <div>
      <Progress run={run} />
      <ErrorNotice error={q.error} retry={() => void q.refetch()} />
      {top?.values.map(({ value: v, count: n }) => (
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
          <span className="faint num" title={`${plural(n, "record")} of ${whole(top.total)}`}>
            {count(n)} · {percent(share(n))}
          </span>
          <div className="bar">
            <i style={{ width: `${share(n) * 100}%` }} />
          </div>
        </div>
      ))}
      {top && top.other > 0 && (
        <p className="facet faint">
          <span className="cut">
            {others > 0 ? plural(others, "other value", "other values") : "other values or none"}
            {top.partial && " or more"}
          </span>
          <span className="num">
            {count(top.other)} · {percent(share(top.other))}
          </span>
        </p>
      )}
      {top && top.missing > 0 && top.values.length > 0 && (
        <p className="facet faint">
          <span className="cut">without it</span>
          <span className="num">
            {count(top.missing)} · {percent(share(top.missing))}
          </span>
        </p>
      )}
      {top && top.values.length === 0 && (
        <p className="faint" style={{ padding: "2px 16px" }}>
          no values in this range
        </p>
      )}
    </div>
  );
}
