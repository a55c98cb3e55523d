/** Alert rules as text and as the rule API takes them. */
import type { Language } from "@/parts/editor";

export interface Draft {
  name: string;
  language: Language;
  expr: string;
  /** Comparison and threshold; an expression that compares by itself needs none. */
  op: ">" | ">=" | "<" | "<=" | "==" | "!=";
  threshold: string;
  holdFor: string;
  severity: string;
  summary: string;
  runbook: string;
  /** More labels, "team=shop, tier=1". */
  labels: string;
}

export const emptyDraft: Draft = {
  name: "",
  language: "promql",
  expr: "",
  op: ">",
  threshold: "",
  holdFor: "5m",
  severity: "warning",
  summary: "",
  runbook: "",
  labels: "",
};

/** LogQL and TraceQL inside PromQL: a selector that the server answers by the other language. */
export const virtual = (language: Language, expr: string) =>
  language === "promql" ? expr : `{__${language}__=${JSON.stringify(expr)}}`;

/** The language of an expression that is nothing but a virtual selector, and what stands in it. */
export function unwrap(expr: string): { language: Language; expr: string } {
  const m = /^\{\s*__(logql|traceql)__\s*=\s*("(?:[^"\\]|\\.)*")\s*\}$/.exec(expr.trim());
  if (m) {
    try {
      return { language: m[1] as Language, expr: JSON.parse(m[2]!) as string };
    } catch {
      // An escape that JSON does not know: it stays as it is.
    }
  }
  return { language: "promql", expr };
}

/** A rule that exists, as a draft to change or to copy. */
export function draftOf(rule: {
  name: string;
  query: string;
  duration?: number;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
}): Draft {
  const cut = splitThreshold(rule.query);
  const { severity = "", ...labels } = rule.labels ?? {};
  return {
    ...emptyDraft,
    name: rule.name,
    ...unwrap(cut?.expr ?? rule.query),
    ...(cut ? { op: cut.op, threshold: cut.threshold } : {}),
    holdFor: rule.duration ? span(rule.duration) : "",
    severity,
    summary: rule.annotations?.summary ?? "",
    runbook: rule.annotations?.runbook_url ?? "",
    labels: Object.entries(labels)
      .map(([k, v]) => `${k}=${v}`)
      .join(", "),
  };
}

const span = (seconds: number) =>
  seconds % 3600 === 0 ? `${seconds / 3600}h` : seconds % 60 === 0 ? `${seconds / 60}m` : `${seconds}s`;

/** "a=b, c=d" as labels; undefined when it is not that. */
export function parseLabels(text: string): Record<string, string> | undefined {
  const out: Record<string, string> = {};
  for (const part of text.split(",")) {
    if (part.trim() === "") continue;
    const m = /^\s*([A-Za-z_]\w*)\s*=\s*(.*?)\s*$/.exec(part);
    if (!m || m[1]!.startsWith("__")) return undefined;
    out[m[1]!] = m[2]!.replace(/^"(.*)"$/, "$1");
  }
  return out;
}

export interface RuleBody {
  alert: string;
  expr: string;
  for?: string;
  labels: Record<string, string>;
  annotations?: Record<string, string>;
}

/** The rule as the API takes it. */
export function toRule(d: Draft): RuleBody {
  const annotations = {
    ...(d.summary ? { summary: d.summary } : {}),
    ...(d.runbook ? { runbook_url: d.runbook } : {}),
  };
  return {
    alert: d.name,
    expr: fullExpr(d),
    ...(d.holdFor ? { for: d.holdFor } : {}),
    labels: { ...parseLabels(d.labels), ...(d.severity ? { severity: d.severity } : {}) },
    ...(Object.keys(annotations).length > 0 ? { annotations } : {}),
  };
}

/** An expression that ends in a comparison with a number, cut there. */
export function splitThreshold(expr: string): { expr: string; op: Draft["op"]; threshold: string } | undefined {
  const m = /^([\s\S]+?)\s*(>=|<=|==|!=|>|<)\s*(?:bool\s+)?(-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)\s*$/i.exec(expr);
  return m && balanced(m[1]!) ? { expr: m[1]!.trim(), op: m[2] as Draft["op"], threshold: m[3]! } : undefined;
}

/** Whether a text closes every bracket that it opens. */
function balanced(text: string): boolean {
  let depth = 0;
  for (const c of text.replace(/"(?:[^"\\]|\\.)*"/g, "")) {
    if ("([{".includes(c)) depth++;
    else if (")]}".includes(c) && --depth < 0) return false;
  }
  return depth === 0;
}

/** Binary operators outside of every bracket and string: what a comparison behind it must not catch. */
const loose = (expr: string) =>
  /[-+*/%^]|\b(and|or|unless)\b/.test(
    expr.replace(/"(?:[^"\\]|\\.)*"/g, '""').replace(/\([\s\S]*\)|\{[^}]*\}|\[[^\]]*\]/g, ""),
  );

/** The whole expression in PromQL, threshold and all. */
export function fullExpr(d: Draft): string {
  const expr = virtual(d.language, d.expr);
  if (!d.threshold.trim()) return expr;
  return `${loose(expr) ? `(${expr})` : expr} ${d.op} ${d.threshold.trim()}`;
}

/** A rule file that promtool accepts. */
export function toYaml(d: Draft): string {
  const q = (s: string) => JSON.stringify(s);
  const r = toRule(d);
  const map = (name: string, o: Record<string, string> | undefined) =>
    o && Object.keys(o).length > 0
      ? [`        ${name}:`, ...Object.entries(o).map(([k, v]) => `          ${k}: ${q(v)}`)]
      : [];
  const lines = [
    "groups:",
    "  - name: from-the-interface",
    "    rules:",
    `      - alert: ${q(d.name || "Unnamed")}`,
    "        expr: |",
    ...r.expr.split("\n").map((l) => `          ${l}`),
    ...(r.for ? [`        for: ${r.for}`] : []),
    ...map("labels", r.labels),
    ...map("annotations", r.annotations),
  ];
  return `${lines.join("\n")}\n`;
}
