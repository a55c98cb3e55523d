/** The builder's view of a PromQL query, in both directions, and small text-level changes. */

export interface Matcher {
  name: string;
  op: "=" | "!=" | "=~" | "!~";
  value: string;
}

/** What happens to the series, one after the other, innermost first. */
export type Step =
  /** sum by (a, b) (…), topk without (c) (5, …) */
  | { kind: "agg"; op: string; param: string; without: boolean; labels: string[] }
  /** histogram_quantile(0.95, …) */
  | { kind: "quantile"; q: string }
  /** abs(…), clamp_min(…, 0) */
  | { kind: "fn"; name: string; param: string }
  /** … * 100 */
  | { kind: "math"; op: string; number: string };

export interface Builder {
  metric: string;
  matchers: Matcher[];
  /** rate, increase, …_over_time; "" shows the values as they are. */
  fn: string;
  window: string;
  /** "1h" looks back; "" does not. */
  offset: string;
  steps: Step[];
}

export const rangeFunctions = [
  "rate",
  "irate",
  "increase",
  "delta",
  "idelta",
  "deriv",
  "changes",
  "resets",
  "avg_over_time",
  "max_over_time",
  "min_over_time",
  "sum_over_time",
  "count_over_time",
  "stddev_over_time",
  "last_over_time",
];
export const aggregations = ["sum", "avg", "min", "max", "count", "stddev", "group", "topk", "bottomk", "quantile"];
/** Aggregations that take a number first, and the usual one. */
export const counted: Readonly<Record<string, string>> = { topk: "5", bottomk: "5", quantile: "0.95" };
/** Functions of instant values; those with a number behind the series name the usual one. */
export const valueFunctions: Readonly<Record<string, string>> = {
  abs: "",
  ceil: "",
  floor: "",
  round: "",
  sqrt: "",
  ln: "",
  log2: "",
  log10: "",
  sort: "",
  sort_desc: "",
  clamp_min: "0",
  clamp_max: "1",
};
export const operators = ["*", "/", "+", "-"];

export const emptyBuilder: Builder = { metric: "", matchers: [], fn: "", window: "5m", offset: "", steps: [] };

/** A sum, the step that is asked for most. */
export const aggregation = (op = "sum", labels: string[] = []): Step => ({
  kind: "agg",
  op,
  param: counted[op] ?? "",
  without: false,
  labels,
});

const name = /[a-zA-Z_:][\w:]*/;

export function selector(metric: string, matchers: readonly Matcher[]): string {
  const plain = new RegExp(`^${name.source}$`).test(metric);
  const list = matchers.map((m) => `${labelText(m.name)}${m.op}${JSON.stringify(m.value)}`);
  if (!plain && metric) list.unshift(JSON.stringify(metric));
  return `${plain ? metric : ""}${list.length || !plain ? `{${list.join(", ")}}` : ""}`;
}

const labelText = (l: string) => (/^[a-zA-Z_]\w*$/.test(l) ? l : JSON.stringify(l));

export function fromBuilder(b: Builder): string {
  if (!b.metric && b.matchers.length === 0) return "";
  let q = selector(b.metric, b.matchers);
  if (b.fn) q += `[${b.window || "5m"}]`;
  if (b.offset) q += ` offset ${b.offset}`;
  if (b.fn) q = `${b.fn}(${q})`;
  b.steps.forEach((s, i) => {
    const before = b.steps[i - 1];
    const loose = before?.kind === "math";
    switch (s.kind) {
      case "agg": {
        // A quantile of a histogram's buckets needs their bounds.
        const buckets = b.steps[i + 1]?.kind === "quantile" && b.metric.endsWith("_bucket") && !s.without;
        const labels = buckets && !s.labels.includes("le") ? ["le", ...s.labels] : s.labels;
        const by =
          labels.length || s.without ? ` ${s.without ? "without" : "by"} (${labels.map(labelText).join(", ")})` : "";
        q = `${s.op}${by} (${s.param ? `${s.param}, ` : ""}${q})`;
        break;
      }
      case "quantile":
        q = `histogram_quantile(${s.q}, ${q})`;
        break;
      case "fn":
        q = `${s.name}(${q}${s.param ? `, ${s.param}` : ""})`;
        break;
      case "math": {
        // A sum before a product needs brackets, as does a minus before anything but its like.
        const weak = loose && "+-".includes((before as { op: string }).op) && "*/".includes(s.op);
        q = `${weak ? `(${q})` : q} ${s.op} ${s.number}`;
      }
    }
  });
  return q;
}

/** Where the bracket that opens at a place closes, outside of strings; -1 when nowhere. */
function closing(text: string, open: number): number {
  let depth = 0;
  let quote = "";
  for (let i = open; i < text.length; i++) {
    const c = text[i]!;
    if (quote) {
      if (c === "\\" && quote !== "`") i++;
      else if (c === quote) quote = "";
    } else if (c === '"' || c === "'" || c === "`") quote = c;
    else if ("([{".includes(c)) depth++;
    else if (")]}".includes(c) && --depth === 0) return i;
  }
  return -1;
}

/** Arguments, cut at the commas between them. */
function argumentsOf(text: string): string[] {
  const out: string[] = [];
  let from = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text[i]!;
    if ("([{".includes(c)) {
      const end = closing(text, i);
      if (end < 0) return [text];
      i = end;
    } else if (c === ",") {
      out.push(text.slice(from, i).trim());
      from = i + 1;
    }
  }
  out.push(text.slice(from).trim());
  return out;
}

const number = /^-?\d+(\.\d+)?(e[+-]?\d+)?$/i;
const span = /^(\d+(ms|s|m|h|d|w|y))+$/;

/** Reads a query from the outside in; false when it says what the builder cannot. */
function read(text: string, b: Builder): boolean {
  const q = text.trim();
  const math = /^([\s\S]+?)\s*([*/+-])\s*(\d+(?:\.\d+)?(?:e[+-]?\d+)?)$/i.exec(q);
  if (math && /[)\]}\w]$/.test(math[1]!)) {
    const inner = math[1]!;
    const whole = inner.startsWith("(") && closing(inner, 0) === inner.length - 1;
    if (!read(whole ? inner.slice(1, -1) : inner, b)) return false;
    b.steps.push({ kind: "math", op: math[2]!, number: math[3]! });
    return true;
  }
  const call = /^([a-z_][a-z0-9_]*)\s*(?:(by|without)\s*\(([^)]*)\)\s*)?\(/.exec(q);
  if (!call) return readSelector(q, b);
  const open = call[0].length - 1;
  const close = closing(q, open);
  if (close < 0) return false;
  const op = call[1]!;
  const args = argumentsOf(q.slice(open + 1, close));
  const behind = /^\s*(?:(by|without)\s*\(([^)]*)\))?\s*$/.exec(q.slice(close + 1));
  if (!behind) return false;
  if (aggregations.includes(op)) {
    const param = op in counted ? args.shift() : "";
    if (args.length !== 1 || param === undefined || (param && !number.test(param)) || !read(args[0]!, b)) return false;
    const labels = (call[3] ?? behind[2] ?? "")
      .split(",")
      .map((l) => l.trim().replace(/^"(.*)"$/, "$1"))
      .filter(Boolean);
    b.steps.push({ kind: "agg", op, param, without: (call[2] ?? behind[1]) === "without", labels });
    return true;
  }
  if (call[2] || behind[1]) return false;
  if (op === "histogram_quantile") {
    if (args.length !== 2 || !number.test(args[0]!) || !read(args[1]!, b)) return false;
    const last = b.steps[b.steps.length - 1];
    if (last?.kind === "agg" && b.metric.endsWith("_bucket") && !last.without)
      last.labels = last.labels.filter((l) => l !== "le");
    b.steps.push({ kind: "quantile", q: args[0]! });
    return true;
  }
  if (op in valueFunctions) {
    const param = valueFunctions[op] ? args.pop() : "";
    if (args.length !== 1 || param === undefined || (param && !number.test(param)) || !read(args[0]!, b)) return false;
    b.steps.push({ kind: "fn", name: op, param });
    return true;
  }
  if (!rangeFunctions.includes(op) || args.length !== 1) return false;
  b.fn = op;
  return readSelector(args[0]!, b);
}

/** metric{a="b"}[5m] offset 1h */
function readSelector(text: string, b: Builder): boolean {
  const m = new RegExp(
    `^(${name.source})?\\s*(?:\\{([\\s\\S]*)\\})?\\s*(?:\\[(\\w+)\\])?\\s*(?:\\boffset\\s+(\\w+))?$`,
  ).exec(text.trim());
  if (!m || (!m[1] && m[2] === undefined) || Boolean(m[3]) !== Boolean(b.fn)) return false;
  if ((m[3] && !span.test(m[3])) || (m[4] && !span.test(m[4]))) return false;
  const matchers = parseMatchers(m[2] ?? "");
  if (!matchers) return false;
  b.metric = m[1] ?? "";
  if (m[3]) b.window = m[3];
  b.offset = m[4] ?? "";
  for (const x of matchers) {
    if (x.name === "" || (x.name === "__name__" && x.op === "=" && !b.metric)) b.metric = x.value;
    else b.matchers.push(x);
  }
  return true;
}

/** The builder's view of a query; undefined when the builder cannot say it. */
export function toBuilder(query: string): Builder | undefined {
  const b: Builder = { ...emptyBuilder, matchers: [], steps: [] };
  if (query.trim() === "") return b;
  if (!read(query, b)) return undefined;
  // Only what writes back to the same question may be shown.
  return strip(fromBuilder(b)) === strip(query) || equalButOrder(b, query) ? b : undefined;
}

const strip = (s: string) => s.replace(/\s+/g, "");
const equalButOrder = (b: Builder, query: string) =>
  [...strip(fromBuilder(b))].sort().join("") === [...strip(query)].sort().join("");

export function parseMatchers(text: string): Matcher[] | undefined {
  const out: Matcher[] = [];
  let rest = text.trim();
  while (rest) {
    const m =
      /^(?:([a-zA-Z_]\w*)|("(?:[^"\\]|\\.)*"))\s*(?:(=~|!~|!=|=)\s*("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`))?\s*(?:,|$)\s*/.exec(
        rest,
      );
    if (!m) return undefined;
    const label = m[1] ?? unquote(m[2]!);
    if (m[3]) out.push({ name: label, op: m[3] as Matcher["op"], value: unquote(m[4]!) });
    else if (m[2]) out.push({ name: "", op: "=", value: label });
    else return undefined;
    rest = rest.slice(m[0].length);
  }
  return out;
}

function unquote(s: string): string {
  if (s.startsWith("`")) return s.slice(1, -1);
  try {
    return JSON.parse(s.startsWith("'") ? `"${s.slice(1, -1).replaceAll('"', '\\"')}"` : s) as string;
  } catch {
    return s.slice(1, -1);
  }
}

/** What to ask first of a metric, by its type. */
export function firstQuery(metric: string, type: string, window: string): string {
  const b = { ...emptyBuilder, metric, window };
  if (type === "histogram" || metric.endsWith("_bucket"))
    return fromBuilder({ ...b, fn: "rate", steps: [aggregation(), { kind: "quantile", q: "0.95" }] });
  if (type === "counter" || /_(total|count|sum)$/.test(metric))
    return fromBuilder({ ...b, fn: "rate", steps: [aggregation()] });
  return metric;
}

/** Replaces $a, $b … by the other queries. A query that refers to itself in a circle is left as it is. */
export function expand(text: string, queries: Readonly<Record<string, string>>, seen: readonly string[] = []): string {
  return text.replace(/\$([a-h])\b/g, (all, k: string) => {
    const q = queries[k];
    if (!q || seen.includes(k)) return all;
    return `(${expand(q, queries, [...seen, k])})`;
  });
}

/** The selector behind a series of a query: its metric with the query's matchers and the series' own labels. */
export function seriesSelector(query: string, labels: Readonly<Record<string, string>>): string {
  const own = Object.entries(labels).filter(([k]) => k !== "__name__" && k !== "le");
  const b = toBuilder(query);
  if (!b)
    return own.length
      ? selector(
          labels.__name__ ?? "",
          own.map(([k, v]) => ({ name: k, op: "=", value: v })),
        )
      : query;
  const kept = b.matchers.filter((m) => labels[m.name] === undefined);
  return selector(b.metric, [...kept, ...own.map(([k, v]): Matcher => ({ name: k, op: "=", value: v }))]);
}

/** Adds a matcher to every selector that the builder understands; other queries stay. */
export function addMatcher(query: string, m: Matcher): string {
  const b = toBuilder(query);
  if (!b) return query;
  const rest = b.matchers.filter((x) => x.name !== m.name || (m.op === "!=" && x.op !== "="));
  return fromBuilder({ ...b, matchers: [...rest, m] });
}

/**
 * A text in which references to other queries and variables are made into
 * plain PromQL of the same length: what is wrong with it is wrong at the same place.
 */
export const withoutReferences = (text: string) =>
  text
    .replace(/\[\s*\$\{?\w+\}?(?=\s*[\]:])/g, (m) => "[1m".padEnd(m.length))
    .replace(/\$\{?\w+(?::\w+)?\}?/g, (m) => "a".repeat(m.length));
