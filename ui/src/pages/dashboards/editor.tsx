/** Editing one panel, with what it will look like. */
import { Plus, X } from "lucide-react";
import { useState } from "react";
import type { Panel, PanelQuery, PanelType } from "@/lib/dashboards";
import { type Language, QueryEditor } from "@/parts/editor";
import { Dialog } from "@/parts/overlay";
import { PanelView } from "./panel";

const kinds: { id: PanelType; label: string }[] = [
  { id: "line", label: "Lines" },
  { id: "area", label: "Stacked" },
  { id: "bar", label: "Bars" },
  { id: "heatmap", label: "Heatmap" },
  { id: "stat", label: "Number" },
  { id: "table", label: "Table" },
  { id: "logs", label: "Logs" },
  { id: "traces", label: "Traces" },
  { id: "text", label: "Text" },
  { id: "row", label: "Row" },
];

interface Props {
  panel: Panel;
  values: Readonly<Record<string, string>>;
  onSave: (p: Panel) => void;
  onDelete: () => void;
  onClose: () => void;
}

export function PanelEditor({ panel, values, onSave, onDelete, onClose }: Props) {
  const [p, setP] = useState(panel);
  const set = (change: Partial<Panel>) => setP({ ...p, ...change });
  const setQuery = (i: number, change: Partial<PanelQuery>) =>
    set({ queries: p.queries.map((q, j) => (j === i ? { ...q, ...change } : q)) });
  const setKind = (type: PanelType) => {
    const language: Language | undefined = type === "logs" ? "logql" : type === "traces" ? "traceql" : undefined;
    set({
      type,
      ...(type === "row" ? { w: 24, h: 1, x: 0 } : {}),
      queries: language ? p.queries.map((q) => (q.expr ? q : { ...q, language })) : p.queries,
    });
  };
  const asks = p.type !== "text" && p.type !== "row";
  return (
    <Dialog title="Panel" open wide onClose={onClose}>
      <div className="col">
        <div className="row wrap">
          <label className="field grow">
            <span>Title</span>
            <input className="input" value={p.title} onChange={(e) => set({ title: e.target.value })} />
          </label>
          <label className="field">
            <span>Kind</span>
            <select className="select" value={p.type} onChange={(e) => setKind(e.target.value as PanelType)}>
              {kinds.map((k) => (
                <option key={k.id} value={k.id}>
                  {k.label}
                </option>
              ))}
            </select>
          </label>
          <label className="field">
            <span>Unit</span>
            <select
              className="select"
              value={p.unit ?? ""}
              onChange={(e) => {
                const { unit: _, ...rest } = p;
                setP(e.target.value ? { ...rest, unit: e.target.value } : rest);
              }}
            >
              <option value="">guessed</option>
              {["s", "ms", "By", "By/s", "/s", "ratio", "none"].map((u) => (
                <option key={u}>{u}</option>
              ))}
            </select>
          </label>
        </div>
        {p.type === "text" && (
          <textarea
            className="input"
            rows={6}
            aria-label="Text"
            value={p.text ?? ""}
            onChange={(e) => set({ text: e.target.value })}
          />
        )}
        {asks &&
          p.queries.map((q, i) => (
            <div key={i} className="query-bar">
              <select
                className="select"
                style={{ height: 34 }}
                aria-label="Language"
                value={q.language}
                onChange={(e) => setQuery(i, { language: e.target.value as Language })}
              >
                <option value="promql">PromQL</option>
                <option value="logql">LogQL</option>
                <option value="traceql">TraceQL</option>
              </select>
              <QueryEditor
                language={q.language}
                label={`Query ${i + 1}`}
                value={q.expr}
                onChange={(expr) => setQuery(i, { expr })}
                onRun={(expr) => setQuery(i, { expr })}
              />
              <input
                className="input"
                style={{ height: 34, width: 150 }}
                aria-label="Legend"
                placeholder="{{label}}"
                value={q.legend ?? ""}
                onChange={(e) => setQuery(i, { legend: e.target.value })}
              />
              {p.queries.length > 1 && (
                <button
                  type="button"
                  className="btn icon"
                  aria-label="Remove the query"
                  onClick={() => set({ queries: p.queries.filter((_, j) => j !== i) })}
                >
                  <X size={13} />
                </button>
              )}
            </div>
          ))}
        {asks && p.queries[0]?.language === "promql" && (
          <button
            type="button"
            className="btn small"
            style={{ alignSelf: "start" }}
            onClick={() => set({ queries: [...p.queries, { language: "promql", expr: "" }] })}
          >
            <Plus size={13} /> Query
          </button>
        )}
        <div style={{ height: 260 }}>
          <PanelView panel={p} values={values} height={260} />
        </div>
        <div className="row">
          <button type="button" className="btn primary" onClick={() => onSave(p)}>
            Apply
          </button>
          <button type="button" className="btn" onClick={onClose}>
            Cancel
          </button>
          <button type="button" className="btn danger push" onClick={onDelete}>
            Delete the panel
          </button>
        </div>
      </div>
    </Dialog>
  );
}
