/** Dashboards as they are stored, their variables, and what Grafana's JSON means in our terms. */
import type { Language } from "@/parts/editor";

export interface PanelQuery {
  language: Language;
  expr: string;
  legend?: string;
}

export type PanelType = "line" | "area" | "bar" | "heatmap" | "stat" | "table" | "logs" | "traces" | "text" | "row";

export interface Panel {
  id: string;
  title: string;
  type: PanelType;
  queries: PanelQuery[];
  unit?: string;
  text?: string;
  /** Place on a grid of 24 columns; rows of 30 pixels. */
  x: number;
  y: number;
  w: number;
  h: number;
}

export interface Variable {
  name: string;
  label?: string;
  /** label_values(metric, label), label_values(label), or a list "a,b,c". */
  query: string;
  value: string;
  multi?: boolean;
}

export interface Dashboard {
  id: string;
  title: string;
  panels: Panel[];
  variables: Variable[];
  from?: string;
  to?: string;
}

export const emptyDashboard = (id: string, title: string): Dashboard => ({ id, title, panels: [], variables: [] });

/** Replaces $name, ${name}, ${name:regex} and Grafana's time words. */
export function interpolate(
  expr: string,
  values: Readonly<Record<string, string>>,
  step: number,
  spanSeconds: number,
): string {
  const time: Record<string, string> = {
    __interval: `${step}s`,
    __rate_interval: `${Math.max(60, step * 4)}s`,
    __range: `${Math.round(spanSeconds)}s`,
    __range_s: String(Math.round(spanSeconds)),
    __interval_ms: String(step * 1000),
    __auto: `${step}s`,
  };
  return expr.replace(/\$\{(\w+)(?::[\w-]+)?\}|\$(\w+)|\[\[(\w+)\]\]/g, (all, a?: string, b?: string, c?: string) => {
    const name = a ?? b ?? c ?? "";
    return time[name] ?? values[name] ?? all;
  });
}

/** What a chosen value means inside a regular expression: all, one, several. */
export function variableText(value: string): string {
  if (value === "" || value === "$__all") return ".*";
  const many = value.split(",");
  return many.length > 1 ? `(${many.map(escapeRegex).join("|")})` : value;
}

const escapeRegex = (s: string) => s.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

export function parseVariableQuery(q: string): { metric: string; label: string } | string[] | undefined {
  const m = /^label_values\s*\(\s*(?:([\s\S]+?)\s*,\s*)?([\w.]+)\s*\)$/.exec(q.trim());
  if (m) return { metric: m[1] ?? "", label: m[2]! };
  if (q.includes("(")) return undefined;
  return q
    .split(",")
    .map((s) => s.trim())
    .filter(Boolean);
}

const units: Record<string, string> = {
  s: "s",
  ms: "ms",
  ns: "ns",
  bytes: "By",
  decbytes: "By",
  Bps: "By/s",
  binBps: "By/s",
  percentunit: "ratio",
  reqps: "/s",
  ops: "/s",
  cps: "/s",
};

const types: Record<string, PanelType> = {
  timeseries: "line",
  graph: "line",
  "graph-panel": "line",
  barchart: "bar",
  "bar-gauge": "stat",
  bargauge: "stat",
  gauge: "stat",
  stat: "stat",
  singlestat: "stat",
  table: "table",
  "table-old": "table",
  heatmap: "heatmap",
  logs: "logs",
  traces: "traces",
  text: "text",
  row: "row",
};

type Json = Record<string, unknown>;
const obj = (v: unknown): Json => (v && typeof v === "object" && !Array.isArray(v) ? (v as Json) : {});
const list = (v: unknown): Json[] => (Array.isArray(v) ? v.map(obj) : []);
const str = (v: unknown): string => (typeof v === "string" ? v : "");
const num = (v: unknown, fallback: number): number => (typeof v === "number" && Number.isFinite(v) ? v : fallback);

function languageOf(target: Json, panel: Json): Language {
  const ds = obj(target.datasource ?? panel.datasource);
  const type = str(ds.type) || str(target.datasource) || str(panel.datasource);
  if (/loki/i.test(type)) return "logql";
  if (/tempo/i.test(type)) return "traceql";
  return "promql";
}

/** A Grafana dashboard in our terms, with a line for each thing that has no counterpart. */
export function fromGrafana(text: string, id: string): { dashboard: Dashboard; notes: string[] } {
  const raw = obj(JSON.parse(text));
  const root = Object.keys(obj(raw.dashboard)).length ? obj(raw.dashboard) : raw;
  if (!Array.isArray(root.panels) && !Array.isArray(root.rows))
    throw new Error("This is no Grafana dashboard: it has no panels.");
  const notes: string[] = [];
  const flat = [...list(root.panels), ...list(root.rows).flatMap((r) => list(r.panels))].flatMap((p) => [
    p,
    ...(str(p.type) === "row" ? list(p.panels) : []),
  ]);
  let nextY = 0;
  const panels = flat.slice(0, 300).map((p, i): Panel => {
    const grid = obj(p.gridPos);
    const kind = str(p.type);
    let type = types[kind];
    const title = str(p.title).slice(0, 200);
    if (!type) {
      notes.push(`Panel “${title || i + 1}” of type ${kind || "unknown"} became a line chart.`);
      type = "line";
    }
    const custom = obj(obj(obj(p.fieldConfig).defaults).custom);
    if (type === "line" && str(custom.drawStyle) === "bars") type = "bar";
    else if (type === "line" && str(obj(custom.stacking).mode) === "normal") type = "area";
    const queries = list(p.targets)
      .map(
        (t): PanelQuery => ({
          language: languageOf(t, p),
          expr: str(t.expr) || str(t.query),
          ...(str(t.legendFormat) && str(t.legendFormat) !== "__auto" ? { legend: str(t.legendFormat) } : {}),
        }),
      )
      .filter((q) => q.expr);
    if (queries.length === 0 && type !== "text" && type !== "row")
      notes.push(`Panel “${title || i + 1}” has no query that can be read.`);
    const h = type === "row" ? 1 : num(grid.h, 8);
    const y = num(grid.y, nextY);
    nextY = Math.max(nextY, y + h);
    const unit = units[str(obj(obj(p.fieldConfig).defaults).unit)];
    return {
      id: `p${i}`,
      title,
      type,
      queries,
      x: Math.min(23, Math.max(0, num(grid.x, 0))),
      y,
      w: Math.min(24, Math.max(1, type === "row" ? 24 : num(grid.w, 12))),
      h: Math.min(60, Math.max(1, h)),
      ...(unit ? { unit } : {}),
      ...(type === "text" ? { text: str(obj(p.options).content) || str(p.content) } : {}),
    };
  });
  const variables = list(obj(root.templating).list).flatMap((v): Variable[] => {
    const type = str(v.type);
    if (!["query", "custom", "textbox", "constant", "interval"].includes(type)) {
      if (type !== "datasource") notes.push(`Variable ${str(v.name)} of type ${type} was left out.`);
      return [];
    }
    const query = typeof v.query === "string" ? v.query : str(obj(v.query).query);
    const current = obj(v.current).value;
    const value = Array.isArray(current) ? current.map(String).join(",") : typeof current === "string" ? current : "";
    return [
      {
        name: str(v.name),
        query,
        value,
        ...(str(v.label) ? { label: str(v.label) } : {}),
        ...(v.multi === true ? { multi: true } : {}),
      },
    ];
  });
  const time = obj(root.time);
  const dashboard: Dashboard = { id, title: str(root.title) || "Imported dashboard", panels, variables };
  if (/^now/.test(str(time.from))) {
    dashboard.from = str(time.from);
    dashboard.to = str(time.to) || "now";
  }
  return { dashboard, notes };
}

/** Moves a panel down until it stands on no other; then lets everything rise. */
export function arrange(panels: readonly Panel[], moved?: string): Panel[] {
  const order = [...panels].sort((a, b) => a.y - b.y || (a.id === moved ? -1 : b.id === moved ? 1 : a.x - b.x));
  const done: Panel[] = [];
  const clash = (a: Panel, b: Panel) => a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;
  for (const p of order) {
    let q = { ...p, x: Math.max(0, Math.min(p.x, 24 - p.w)), y: 0 };
    while (done.some((d) => clash(d, q))) q = { ...q, y: q.y + 1 };
    // A panel never rises above one that stood before it in its columns.
    done.push(q);
  }
  return panels.map((p) => done.find((d) => d.id === p.id)!);
}

/** What is shown when some rows are folded: their panels are gone, what stands below rises. */
export function fold(panels: readonly Panel[], folded: ReadonlySet<string>): Panel[] {
  if (folded.size === 0) return [...panels];
  const rows = panels.filter((p) => p.type === "row").sort((a, b) => a.y - b.y);
  const gone = new Set<string>();
  let lifted = 0;
  const lift = new Map<string, number>();
  rows.forEach((row, i) => {
    const end = rows[i + 1]?.y ?? Number.POSITIVE_INFINITY;
    const inside = panels.filter((p) => p.type !== "row" && p.y > row.y && p.y < end);
    for (const p of [row, ...inside]) lift.set(p.id, lifted);
    if (!folded.has(row.id)) return;
    for (const p of inside) gone.add(p.id);
    lifted += inside.reduce((n, p) => Math.max(n, p.y + p.h), row.y + row.h) - (row.y + row.h);
  });
  return panels.filter((p) => !gone.has(p.id)).map((p) => ({ ...p, y: p.y - (lift.get(p.id) ?? 0) }));
}

/** A dashboard of our own that was exported; undefined when the text is something else. */
export function fromOwn(text: string, id: string): Dashboard | undefined {
  let root: Partial<Dashboard>;
  try {
    root = JSON.parse(text) as Partial<Dashboard>;
  } catch {
    return undefined;
  }
  const own =
    root !== null &&
    typeof root === "object" &&
    Array.isArray(root.panels) &&
    Array.isArray(root.variables) &&
    root.panels.every(
      (p) => typeof p === "object" && p !== null && Array.isArray(p.queries) && typeof p.w === "number",
    );
  return own ? { ...(root as Dashboard), id, title: root.title || "Imported dashboard" } : undefined;
}

/** Several values of a variable, as the URL keeps them. */
export const valuesOf = (value: string): string[] =>
  value === "" || value === "$__all" || value === ".*" ? [] : value.split(",").filter(Boolean);
