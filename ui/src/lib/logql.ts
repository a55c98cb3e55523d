/** Small, text-level changes to LogQL queries: what a click on a value does. */

export const allLogs = '{service_name=~".+"}';

/** Loki's spelling of an attribute name. */
export const labelName = (field: string) => field.replace(/[^A-Za-z0-9_]/g, "_").replace(/^(\d)/, "_$1");

/** The end of the stream selector at the start of a log query, or -1. */
function selectorEnd(query: string): number {
  let quote = "";
  for (let i = 0; i < query.length; i++) {
    const c = query[i]!;
    if (quote) {
      if (c === "\\" && quote === '"') i++;
      else if (c === quote) quote = "";
    } else if (c === '"' || c === "`") quote = c;
    else if (c === "}") return i;
  }
  return -1;
}

/** Whether a text is a query for lines rather than for numbers. */
export const isLogQuery = (query: string) => /^\s*\{/.test(query);

/** Adds a condition; a condition that says the same twice is added once, its opposite is replaced. */
export function addFilter(
  query: string,
  field: string,
  op: "=" | "!=",
  value: string,
  streamLabels: readonly string[] = [],
): string {
  const base = isLogQuery(query) ? query.trim() : allLogs;
  const name = labelName(field);
  if (!name) {
    const line = ` ${op === "=" ? "|=" : "!="} ${JSON.stringify(value)}`;
    return base.includes(line) ? base : base + line;
  }
  const opposite = op === "=" ? "!=" : "=";
  const text = JSON.stringify(value);
  if (streamLabels.includes(name)) {
    const end = selectorEnd(base);
    const inside = base.slice(base.indexOf("{") + 1, end).trim();
    const parts = splitMatchers(inside).filter(
      (m) =>
        m !== `${name}${opposite}${text}` && !(op === "=" && (m.startsWith(`${name}=`) || m.startsWith(`${name}=~`))),
    );
    if (!parts.includes(`${name}${op}${text}`)) parts.push(`${name}${op}${text}`);
    // A selector needs a matcher that is not empty: one that matches all is not needed beside another.
    const useful =
      parts.length > 1
        ? parts.filter((m) => m !== 'service_name=~".+"' || !parts.some((o) => o !== m && /[^!]=/.test(o)))
        : parts;
    return `{${useful.join(", ")}}${base.slice(end + 1)}`;
  }
  const stage = ` | ${name}${op}${text}`;
  const cleaned = base.replace(` | ${name}${opposite}${text}`, "");
  return cleaned.includes(stage) ? cleaned : cleaned + stage;
}

function splitMatchers(inside: string): string[] {
  const out: string[] = [];
  let quote = "";
  let from = 0;
  for (let i = 0; i <= inside.length; i++) {
    const c = inside[i];
    if (quote) {
      if (c === "\\" && quote === '"') i++;
      else if (c === quote) quote = "";
    } else if (c === '"' || c === "`") quote = c;
    else if (c === "," || c === undefined) {
      const part = inside.slice(from, i).trim();
      if (part) out.push(part.replace(/\s*(=~|!~|!=|=)\s*/, "$1"));
      from = i + 1;
    }
  }
  return out;
}

export const selectorOf = (labels: Record<string, string>) =>
  `{${Object.entries(labels)
    .filter(([k, v]) => v !== "" && /^[A-Za-z_]\w*$/.test(k) && k !== "detected_level" && k !== "level")
    .map(([k, v]) => `${k}=${JSON.stringify(v)}`)
    .join(", ")}}`;

/** Of what the lines around a record may be, narrow to wide: only what its labels know. */
export function contextScopes(line: {
  labels: Record<string, string>;
  traceId: string;
}): { id: string; label: string; selector: string }[] {
  const out = [{ id: "stream", label: "the same stream", selector: selectorOf(line.labels) }];
  if (line.traceId)
    out.push({ id: "trace", label: "the same request", selector: `{trace_id=${JSON.stringify(line.traceId)}}` });
  const by: [string, string][] = [
    ["k8s_pod_name", "the same pod"],
    ["host_name", "the same host"],
    ["k8s_node_name", "the same node"],
    ["service_name", "the same service"],
    ["service_namespace", "the same namespace of services"],
  ];
  for (const [name, label] of by) {
    const v = line.labels[name];
    if (v) out.push({ id: name, label: `${label}, ${v.slice(0, 60)}`, selector: `{${name}=${JSON.stringify(v)}}` });
  }
  out.push({ id: "all", label: "everything", selector: "{}" });
  return out;
}

/** Whether a query reads lines by a parser, or rewrites them: what the store cannot count by itself. */
export const hasParser = (query: string) =>
  /\|\s*(json|logfmt|regexp|pattern|unpack|line_format|label_format)\b/.test(
    query.replace(/"(?:[^"\\]|\\.)*"|`[^`]*`/g, '""'),
  );

/** A query whose records can be counted: lines that its parser cannot read count too, instead of failing it. */
export const countable = (query: string) =>
  hasParser(query) && !/\|\s*drop\b[^|]*__error__/.test(query)
    ? `${query.trimEnd()} | drop __error__, __error_details__`
    : query;

/** Counts by severity over time. */
export const volumeQuery = (query: string, step: number) =>
  `sum by (detected_level) (count_over_time(${countable(query)} [${step}s]))`;

/** How many records match in all. */
export const totalQuery = (query: string, seconds: number) =>
  `sum(count_over_time(${countable(query)} [${Math.max(1, Math.ceil(seconds))}s]))`;

/** Counts by the values of a field over the whole range; a field inside the line needs its parser. */
export function topValuesQuery(
  query: string,
  field: string,
  parser: string | undefined,
  seconds: number,
  k: number,
): string {
  const parsed = parser && !new RegExp(`\\|\\s*${parser}\\b`).test(query) ? `${query} | ${parser}` : query;
  return `topk(${k}, sum by (${labelName(field)}) (count_over_time(${countable(parsed)} | ${labelName(field)}!="" [${Math.max(1, Math.ceil(seconds))}s])))`;
}

/** The texts that a query looks for in lines: what to mark in them. */
export function searchedTexts(query: string): string[] {
  return [...query.matchAll(/\|=\s*("(?:[^"\\]|\\.)*"|`[^`]*`)/g)]
    .map((m) => {
      const q = m[1]!;
      if (q.startsWith("`")) return q.slice(1, -1);
      try {
        return JSON.parse(q) as string;
      } catch {
        return "";
      }
    })
    .filter((t) => t.length > 0);
}
