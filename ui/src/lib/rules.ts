/** Alert rules as text, and what they would have done. */

export interface Draft {
  name: string;
  expr: string;
  /** Comparison and threshold; an expression that compares by itself needs none. */
  op: ">" | ">=" | "<" | "<=" | "==" | "!=";
  threshold: string;
  holdFor: string;
  severity: string;
  summary: string;
}

export const emptyDraft: Draft = {
  name: "",
  expr: "",
  op: ">",
  threshold: "",
  holdFor: "5m",
  severity: "warning",
  summary: "",
};

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

export const fullExpr = (d: Draft) =>
  d.threshold.trim()
    ? `${/[-+*/%^]|\b(and|or|unless)\b/.test(d.expr.replace(/\([\s\S]*\)|"[^"]*"|\{[^}]*\}|\[[^\]]*\]/g, "")) ? `(${d.expr})` : d.expr} ${d.op} ${d.threshold.trim()}`
    : d.expr;

/** A rule file that promtool accepts. */
export function toYaml(d: Draft): string {
  const q = (s: string) => JSON.stringify(s);
  const lines = [
    "groups:",
    "  - name: from-the-interface",
    "    rules:",
    `      - alert: ${q(d.name || "Unnamed")}`,
    "        expr: |",
    ...fullExpr(d)
      .split("\n")
      .map((l) => `          ${l}`),
  ];
  if (d.holdFor) lines.push(`        for: ${d.holdFor}`);
  lines.push("        labels:", `          severity: ${q(d.severity)}`);
  if (d.summary) lines.push("        annotations:", `          summary: ${q(d.summary)}`);
  return `${lines.join("\n")}\n`;
}

export interface Firing {
  fromMs: number;
  toMs: number;
  series: number;
}

const holds: Record<Draft["op"], (v: number, t: number) => boolean> = {
  ">": (v, t) => v > t,
  ">=": (v, t) => v >= t,
  "<": (v, t) => v < t,
  "<=": (v, t) => v <= t,
  "==": (v, t) => v === t,
  "!=": (v, t) => v !== t,
};

/** When each series would have fired, had the rule been there: it holds at every point for long enough. */
export function backtest(
  series: readonly (readonly (readonly [number, number])[])[],
  op: Draft["op"],
  threshold: number,
  holdMs: number,
  stepMs: number,
): Firing[] {
  const out: Firing[] = [];
  series.forEach((points, s) => {
    let since: number | undefined;
    let last = 0;
    const end = () => {
      if (since !== undefined && last - since >= holdMs)
        out.push({ fromMs: since + holdMs, toMs: last + stepMs, series: s });
      since = undefined;
    };
    for (const [t, v] of points) {
      // A hole in the series resolves the alert, as it does when it is evaluated.
      if (since !== undefined && t - last > stepMs * 1.5) end();
      if (holds[op](v, threshold)) {
        since ??= t;
        last = t;
      } else end();
    }
    end();
  });
  return out.sort((a, b) => a.fromMs - b.fromMs);
}
