/** The variables of a dashboard as a small table. */
import { Plus, X } from "lucide-react";
import type { Variable } from "@/lib/dashboards";

export function VariableEditor({
  list,
  onChange,
}: {
  list: readonly Variable[];
  onChange: (list: Variable[]) => void;
}) {
  const set = (i: number, change: Partial<Variable>) =>
    onChange(list.map((v, j) => (j === i ? { ...v, ...change } : v)));
  return (
    <div className="col" style={{ width: "min(560px, 90vw)" }}>
      {list.map((v, i) => (
        <div key={i} className="row">
          <input
            className="input"
            style={{ width: 110 }}
            aria-label="Name"
            placeholder="name"
            value={v.name}
            onChange={(e) => set(i, { name: e.target.value.replace(/\W/g, "") })}
          />
          <input
            className="input grow"
            aria-label="Values"
            placeholder="label_values(up, job), or a,b,c"
            value={v.query}
            onChange={(e) => set(i, { query: e.target.value })}
          />
          <button
            type="button"
            className="btn icon"
            aria-label="Remove the variable"
            onClick={() => onChange(list.filter((_, j) => j !== i))}
          >
            <X size={13} />
          </button>
        </div>
      ))}
      <button
        type="button"
        className="btn small"
        style={{ alignSelf: "start" }}
        onClick={() => onChange([...list, { name: "", query: "", value: "" }])}
      >
        <Plus size={13} /> Variable
      </button>
      <p className="small muted">Write $name in a query. A value stands in a regular expression: compare with =~.</p>
    </div>
  );
}
