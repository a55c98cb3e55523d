/** The builder's view of a PromQL query, in both directions, and small text-level changes. */

export interface Matcher {
  name: string;
  op: "=" | "!=" | "=~" | "!~";
  value: string;
}

export interface Builder {
  metric: string;
  matchers: Matcher[];
  /** rate, increase, …_over_time; "" shows the values as they are. */
  fn: string;
  window: string;
  /** sum, avg, …; "" keeps every series. */
  agg: string;
  by: string[];
  /** "0.95" asks for a quantile of a histogram; "" does not. */
  quantile: string;
}

export const rangeFunctions = [
  "rate",
  "irate",
  "increase",
  "delta",
  "deriv",
  "avg_over_time",
  "max_over_time",
  "min_over_time",
  "sum_over_time",
  "last_over_time",
];
export const aggregations = ["sum", "avg", "min", "max", "count", "stddev", "group"];

export const emptyBuilder: Builder = { metric: "", matchers: [], fn: "", window: "5m", agg: "", by: [], quantile: "" };

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
  if (b.fn) q = `${b.fn}(${q}[${b.window || "5m"}])`;
  const classic = b.metric.endsWith("_bucket");
  const by = b.quantile && classic && !b.by.includes("le") ? ["le", ...b.by] : b.by;
  const agg = b.agg || (b.quantile ? "sum" : "");
  if (agg) q = `${agg}${by.length ? ` by (${by.map(labelText).join(", ")})` : ""} (${q})`;
  if (b.quantile) q = `histogram_quantile(${b.quantile}, ${q})`;
  return q;
}

/** The builder's view of a query; undefined when the builder cannot say it. */
export function toBuilder(query: string): Builder | undefined {
  const b: Builder = { ...emptyBuilder, matchers: [], by: [] };
  let q = query.trim();
  if (q === "") return b;
  const hq = /^histogram_quantile\s*\(\s*([\d.]+)\s*,([\s\S]*)\)$/.exec(q);
  if (hq) {
    b.quantile = hq[1]!;
    q = hq[2]!.trim();
  }
  const names = aggregations.join("|");
  // "sum(x) by (l)" first: the plain form would swallow its tail.
  const behind = new RegExp(`^(${names})\\s*\\(([\\s\\S]*)\\)\\s*by\\s*\\(([^)]*)\\)$`).exec(q);
  const before = behind ?? new RegExp(`^(${names})\\s*(?:by\\s*\\(([^)]*)\\)\\s*)?\\(([\\s\\S]*)\\)$`).exec(q);
  if (before) {
    b.agg = before[1]!;
    const labels = (behind ? before[3] : before[2]) ?? "";
    b.by = labels
      .split(",")
      .map((s) => s.trim().replace(/^"(.*)"$/, "$1"))
      .filter(Boolean);
    q = (behind ? before[2]! : before[3]!).trim();
  }
  const fn = new RegExp(`^(${rangeFunctions.join("|")})\\s*\\(([\\s\\S]*)\\[([\\w]+)\\]\\s*\\)$`).exec(q);
  if (fn) {
    b.fn = fn[1]!;
    b.window = fn[3]!;
    q = fn[2]!.trim();
  }
  const sel = new RegExp(`^(${name.source})?\\s*(?:\\{([\\s\\S]*)\\})?$`).exec(q);
  if (!sel || (!sel[1] && sel[2] === undefined)) return undefined;
  b.metric = sel[1] ?? "";
  const matchers = parseMatchers(sel[2] ?? "");
  if (!matchers) return undefined;
  for (const m of matchers) {
    if (m.name === "" || (m.name === "__name__" && m.op === "=" && !b.metric)) b.metric = m.value;
    else b.matchers.push(m);
  }
  if (b.quantile && b.metric.endsWith("_bucket")) b.by = b.by.filter((l) => l !== "le");
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
    return fromBuilder({ ...b, fn: "rate", agg: "sum", quantile: "0.95" });
  if (type === "counter" || /_(total|count|sum)$/.test(metric)) return fromBuilder({ ...b, fn: "rate", agg: "sum" });
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
