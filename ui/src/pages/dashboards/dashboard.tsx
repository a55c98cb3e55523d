/** One dashboard: its variables, its panels on a grid; drag to arrange while editing. */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useParams as useRouteParams } from "@tanstack/react-router";
import { ChevronDown, Copy, Pencil, Plus, Save, Settings2, Undo2 } from "lucide-react";
import { type PointerEvent, useEffect, useRef, useState } from "react";
import { loadDashboard, saveDashboard } from "@/api/dashboards";
import { labelValues } from "@/api/prom";
import {
  arrange,
  type Dashboard,
  fold,
  type Panel,
  parseVariableQuery,
  type Variable,
  valuesOf,
  variableText,
} from "@/lib/dashboards";
import { Empty, ErrorNotice, Loading } from "@/parts/feedback";
import { ShareMenu } from "@/parts/menus";
import { Popover } from "@/parts/overlay";
import { useWidth } from "@/parts/size";
import { toast } from "@/parts/toast";
import { useTitle } from "@/shell/shell";
import { useParams } from "@/shell/url";
import { PanelEditor } from "./editor";
import { PanelView } from "./panel";
import { VariableEditor } from "./variables";

const rowPx = 30;
const gap = 8;

export default function DashboardPage() {
  const { id = "" } = useRouteParams({ strict: false }) as { id?: string };
  const [params, setParams] = useParams();
  const client = useQueryClient();
  const q = useQuery({
    queryKey: ["dashboard", id],
    queryFn: ({ signal }) => loadDashboard(id, signal),
    staleTime: Number.POSITIVE_INFINITY,
  });
  const [draft, setDraft] = useState<Dashboard>();
  const [editing, setEditing] = useState<Panel>();
  const [error, setError] = useState<unknown>();
  const d = draft ?? q.data;
  const edit = params.edit === "on";
  useTitle(d?.title ?? "Dashboard");

  // What was changed and not saved is not lost by closing the tab.
  useEffect(() => {
    if (!draft) return;
    const ask = (e: BeforeUnloadEvent) => e.preventDefault();
    window.addEventListener("beforeunload", ask);
    return () => window.removeEventListener("beforeunload", ask);
  }, [draft]);

  // A dashboard's own range is what it opens with, unless the link says another.
  useEffect(() => {
    if (q.data?.from && !params.from) setParams({ from: q.data.from, to: q.data.to ?? "now" }, true);
  }, [q.data, params.from, setParams]);

  const values: Record<string, string> = Object.fromEntries(
    (d?.variables ?? []).map((v) => [v.name, variableText(params[`v.${v.name}`] ?? v.value)]),
  );
  const folded = new Set((params.fold ?? "").split(",").filter(Boolean));
  const change = (next: Partial<Dashboard>) => d && setDraft({ ...d, ...next });
  const save = async () => {
    if (!d) return;
    try {
      const where = await saveDashboard(d);
      client.setQueryData(["dashboard", id], d);
      setDraft(undefined);
      setError(undefined);
      setParams({ edit: undefined }, true);
      toast(where === "server" ? "Saved" : "Saved in this browser: the server keeps no dashboards");
    } catch (e) {
      setError(e);
    }
  };
  const put = (p: Panel) => {
    if (!d) return;
    const has = d.panels.some((x) => x.id === p.id);
    const bottom = d.panels.reduce((n, x) => Math.max(n, x.y + x.h), 0);
    change({
      panels: arrange(has ? d.panels.map((x) => (x.id === p.id ? p : x)) : [...d.panels, { ...p, y: bottom }]),
    });
  };
  return (
    <div className="page">
      <div className="page-head">
        {edit && d ? (
          <input
            className="input"
            style={{ fontSize: 18, width: 360 }}
            aria-label="Title"
            value={d.title}
            onChange={(e) => change({ title: e.target.value })}
          />
        ) : (
          <h1>{d?.title ?? "Dashboard"}</h1>
        )}
        {(d?.variables ?? []).map((v) => (
          <VariableField
            key={v.name}
            v={v}
            value={params[`v.${v.name}`] ?? v.value}
            values={values}
            onChange={(x) => setParams({ [`v.${v.name}`]: x })}
          />
        ))}
        <div className="push row">
          {edit && d && (
            <>
              <Popover
                label="Variables"
                trigger={
                  <button type="button" className="btn">
                    <Settings2 size={14} /> Variables
                  </button>
                }
              >
                <VariableEditor list={d.variables} onChange={(variables) => change({ variables })} />
              </Popover>
              <button
                type="button"
                className="btn"
                onClick={() =>
                  setEditing({
                    id: `p${Date.now().toString(36)}`,
                    title: "",
                    type: "line",
                    queries: [{ language: "promql", expr: "" }],
                    x: 0,
                    y: 0,
                    w: 12,
                    h: 8,
                  })
                }
              >
                <Plus size={14} /> Panel
              </button>
            </>
          )}
          {edit || draft ? (
            <>
              <button
                type="button"
                className="btn"
                onClick={() => {
                  if (draft && !window.confirm("Give up what was changed?")) return;
                  setDraft(undefined);
                  setParams({ edit: undefined }, true);
                }}
              >
                <Undo2 size={14} /> {draft ? "Discard" : "Done"}
              </button>
              <button type="button" className="btn primary" disabled={!draft} onClick={() => void save()}>
                <Save size={14} /> Save
              </button>
            </>
          ) : (
            <button type="button" className="btn" onClick={() => setParams({ edit: "on" })}>
              <Pencil size={14} /> Edit
            </button>
          )}
          <ShareMenu data={{ name: `dashboard-${id}`, ...(d ? { json: () => d } : {}) }} />
        </div>
      </div>
      <Loading on={q.isFetching} />
      <ErrorNotice error={error ?? q.error} />
      {d && d.panels.length === 0 && (
        <Empty title="This dashboard is empty">
          <button type="button" className="btn" onClick={() => setParams({ edit: "on" })}>
            Edit it
          </button>{" "}
          and add a panel over any query.
        </Empty>
      )}
      {d && (
        <Grid
          dashboard={edit ? d : { ...d, panels: fold(d.panels, folded) }}
          values={values}
          edit={edit}
          folded={folded}
          onFold={(id) => {
            if (!folded.delete(id)) folded.add(id);
            setParams({ fold: [...folded].join(",") || undefined }, true);
          }}
          onPanels={(panels) => change({ panels })}
          onEdit={setEditing}
        />
      )}
      {editing && (
        <PanelEditor
          panel={editing}
          values={values}
          onClose={() => setEditing(undefined)}
          onSave={(p) => {
            put(p);
            setEditing(undefined);
          }}
          onDelete={() => {
            if (d) change({ panels: arrange(d.panels.filter((p) => p.id !== editing.id)) });
            setEditing(undefined);
          }}
        />
      )}
    </div>
  );
}

interface GridProps {
  dashboard: Dashboard;
  values: Readonly<Record<string, string>>;
  edit: boolean;
  folded: ReadonlySet<string>;
  onFold: (row: string) => void;
  onPanels: (panels: Panel[]) => void;
  onEdit: (p: Panel) => void;
}

function Grid({ dashboard, values, edit, folded, onFold, onPanels, onEdit }: GridProps) {
  const host = useRef<HTMLDivElement>(null);
  const width = useWidth(host);
  const [drag, setDrag] = useState<{ id: string; size: boolean; x0: number; y0: number; first: Panel }>();
  const unit = width / 24;
  const narrow = width < 620;
  const start = (p: Panel, size: boolean) => (e: PointerEvent<HTMLElement>) => {
    if (!edit || e.button !== 0) return;
    e.preventDefault();
    e.currentTarget.setPointerCapture(e.pointerId);
    setDrag({ id: p.id, size, x0: e.clientX, y0: e.clientY, first: p });
  };
  const move = (e: PointerEvent) => {
    if (!drag) return;
    const dx = Math.round((e.clientX - drag.x0) / unit);
    const dy = Math.round((e.clientY - drag.y0) / (rowPx + gap));
    const p = drag.first;
    const next = drag.size
      ? { ...p, w: Math.min(24 - p.x, Math.max(3, p.w + dx)), h: Math.max(2, p.h + dy) }
      : { ...p, x: Math.min(24 - p.w, Math.max(0, p.x + dx)), y: Math.max(0, p.y + dy) };
    onPanels(
      arrange(
        dashboard.panels.map((x) => (x.id === p.id ? next : x)),
        p.id,
      ),
    );
  };
  const nudge = (p: Panel, dx: number, dy: number) =>
    onPanels(
      arrange(
        dashboard.panels.map((x) =>
          x.id === p.id ? { ...p, x: Math.min(24 - p.w, Math.max(0, p.x + dx)), y: Math.max(0, p.y + dy) } : x,
        ),
        p.id,
      ),
    );
  const height = dashboard.panels.reduce((n, p) => Math.max(n, p.y + p.h), 0) * (rowPx + gap);
  return (
    <div
      ref={host}
      style={narrow ? { display: "flex", flexDirection: "column", gap } : { position: "relative", height }}
    >
      {width > 0 &&
        dashboard.panels.map((p) => (
          <div
            key={p.id}
            style={
              narrow
                ? { height: p.h * (rowPx + gap) }
                : {
                    position: "absolute",
                    left: p.x * unit,
                    width: p.w * unit - gap,
                    top: p.y * (rowPx + gap),
                    height: p.h * (rowPx + gap) - gap,
                  }
            }
            onPointerMove={move}
            onPointerUp={() => setDrag(undefined)}
          >
            <PanelView
              panel={p}
              values={values}
              height={p.h * (rowPx + gap) - gap}
              {...(p.type === "row" && !edit ? { folded: folded.has(p.id), onFold: () => onFold(p.id) } : {})}
              header={
                edit ? (
                  <>
                    <button
                      type="button"
                      className="btn small ghost"
                      style={{ cursor: "grab", touchAction: "none" }}
                      aria-label={`Move ${p.title || "panel"}; arrow keys move it too`}
                      onPointerDown={start(p, false)}
                      onKeyDown={(e) => {
                        const d = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[
                          e.key
                        ];
                        if (d) {
                          e.preventDefault();
                          nudge(p, d[0]!, d[1]!);
                        }
                      }}
                    >
                      ⠿
                    </button>
                    <button
                      type="button"
                      className="btn small ghost icon"
                      aria-label={`Edit ${p.title || "panel"}`}
                      onClick={() => onEdit(p)}
                    >
                      <Pencil size={12} />
                    </button>
                    <button
                      type="button"
                      className="btn small ghost icon"
                      aria-label={`Copy ${p.title || "panel"}`}
                      title="One more like it"
                      onClick={() =>
                        onPanels(
                          arrange([...dashboard.panels, { ...p, id: `p${Date.now().toString(36)}`, y: p.y + p.h }]),
                        )
                      }
                    >
                      <Copy size={12} />
                    </button>
                  </>
                ) : undefined
              }
            />
            {edit && p.type !== "row" && (
              <button
                type="button"
                className="resize"
                aria-label={`Resize ${p.title || "panel"}`}
                onPointerDown={start(p, true)}
              />
            )}
          </div>
        ))}
    </div>
  );
}

function VariableField({
  v,
  value,
  values,
  onChange,
}: {
  v: Variable;
  value: string;
  values: Readonly<Record<string, string>>;
  onChange: (value: string) => void;
}) {
  const parsed = parseVariableQuery(v.query.replace(/\$\{?(\w+)\}?/g, (all, n: string) => values[n] ?? all));
  const q = useQuery({
    queryKey: ["variable", v.query, JSON.stringify(parsed)],
    queryFn: ({ signal }) =>
      parsed && !Array.isArray(parsed)
        ? labelValues(parsed.label, parsed.metric || undefined, undefined, signal)
        : Promise.resolve(parsed ?? []),
    staleTime: 60_000,
    retry: false,
  });
  const chosen = valuesOf(value);
  const options = [...new Set([...(q.data ?? []), ...chosen])].filter((x) => x && x !== "$__all" && x !== ".*");
  const [find, setFind] = useState("");
  const name = v.label ?? v.name;
  const text = chosen.length === 0 ? "All" : chosen.length < 3 ? chosen.join(", ") : `${chosen.length} values`;
  const set = (list: readonly string[]) => onChange(list.join(",") || "$__all");
  return (
    <span className="check small">
      <span className="muted">{name}</span>
      <Popover
        label={name}
        align="start"
        trigger={
          <button type="button" className="btn small" aria-label={`${name}: ${text}`}>
            <bdi className="cut" style={{ maxWidth: 180 }}>
              {text}
            </bdi>{" "}
            <ChevronDown size={12} />
          </button>
        }
      >
        <div className="col" style={{ width: 240, maxHeight: 360 }}>
          <div className="row">
            <input
              className="input grow"
              placeholder="Find, or type a value"
              aria-label="Find a value"
              value={find}
              onChange={(e) => setFind(e.target.value)}
              onKeyDown={(e) => e.key === "Enter" && find.trim() && set([find.trim()])}
            />
            <button type="button" className="btn small" aria-pressed={chosen.length === 0} onClick={() => set([])}>
              All
            </button>
          </div>
          <ErrorNotice error={q.error} />
          <ul className="scroll">
            {options
              .filter((o) => o.toLowerCase().includes(find.toLowerCase()))
              .slice(0, 500)
              .map((o) => (
                <li key={o} className="row">
                  <label className="check grow">
                    <input
                      type="checkbox"
                      checked={chosen.includes(o)}
                      onChange={(e) => set(e.target.checked ? [...chosen, o] : chosen.filter((x) => x !== o))}
                    />
                    <bdi className="cut">{o}</bdi>
                  </label>
                  <button type="button" className="btn small ghost" onClick={() => set([o])}>
                    only
                  </button>
                </li>
              ))}
          </ul>
        </div>
      </Popover>
    </span>
  );
}
