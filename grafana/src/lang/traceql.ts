import { lex, NotShown, quote, type Reader, type Shown, show, unquote } from "./lexer";
import type { Matcher } from "./matchers";
import { conditions } from "./promql";

/** What the TraceQL builder shows: conditions on one span, and how spans become series. */
export interface TraceModel {
  filters: Matcher[];
  metrics?: { fn: string; args: string[]; by: string[] };
}

export const spanOps = ["=", "!=", "=~", "!~", ">", ">=", "<", "<="] as const;

export const intrinsics: Record<string, string> = {
  name: "the span's operation",
  status: "ok, error or unset",
  kind: "server, client, producer, consumer or internal",
  duration: "of the span",
  traceDuration: "of the whole trace",
  rootName: "operation of the trace's first span",
  rootServiceName: "service of the trace's first span",
  statusMessage: "what the span says of its status",
  "trace:id": "id of the trace",
};

const keywords: Record<string, readonly string[]> = {
  status: ["ok", "error", "unset"],
  kind: ["server", "client", "producer", "consumer", "internal", "unspecified"],
};
/** The words that an intrinsic is compared with, when there are such. */
export const keywordsOf = (name: string): readonly string[] | undefined => keywords[name];

export const spanMetrics: Record<string, string> = {
  rate: "how many spans a second",
  count_over_time: "how many spans",
  quantile_over_time: "quantiles of a value",
  histogram_over_time: "the distribution of a value",
  avg_over_time: "the mean of a value",
  min_over_time: "the least of a value",
  max_over_time: "the greatest of a value",
  sum_over_time: "the sum of a value",
};
/** What a function is given at first. */
export function defaultArgs(fn: string): string[] {
  if (fn === "rate" || fn === "count_over_time") {
    return [];
  }
  return fn === "quantile_over_time" ? ["duration", ".5", ".95", ".99"] : ["duration"];
}

export function renderTraceQL(m: TraceModel): string {
  const parts = m.filters
    .filter((f) => f.label)
    .map((f) => `${f.label}${f.op}${bareValue(f) ? f.value : quote(f.value)}`);
  let text = parts.length > 0 ? `{${parts.join(" && ")}}` : "{}";
  if (m.metrics) {
    text += ` | ${m.metrics.fn}(${m.metrics.args.join(", ")})`;
    if (m.metrics.by.length > 0) {
      text += ` by(${m.metrics.by.join(", ")})`;
    }
  }
  return text;
}

// Numbers, durations and keywords are written as they are; what was read in
// quotes stays in quotes.
function bareValue(f: Matcher): boolean {
  if (f.bare !== undefined) {
    return f.bare;
  }
  if (f.label in keywords) {
    return true;
  }
  return (
    f.label.toLowerCase().endsWith("duration") ||
    /^-?\d+(\.\d+)?$/.test(f.value) ||
    f.value === "true" ||
    f.value === "false" ||
    f.value === "nil"
  );
}

export function parseTraceQL(text: string): Shown<TraceModel> {
  if (text.trim() === "") {
    return { model: { filters: [] } };
  }
  return show(text, query);
}

function query(r: Reader): TraceModel {
  r.expect("{");
  const m: TraceModel = { filters: [] };
  while (!r.take("}")) {
    m.filters.push(filter(r));
    if (!r.take("&&") && !r.is("}")) {
      throw new NotShown(`${r.peek()?.text ?? "the end"} is more than the builder shows`);
    }
  }
  if (r.take("|")) {
    m.metrics = metrics(r);
  }
  return m;
}

function filter(r: Reader): Matcher {
  const name = attribute(r);
  const op = r.next().text;
  if (!(spanOps as readonly string[]).includes(op)) {
    throw new NotShown(`${op} is more than the builder shows`);
  }
  const sign = r.take("-") ? "-" : "";
  const value = r.next();
  switch (value.kind) {
    case "string":
      return { label: name, op, value: unquote(value.text), bare: false };
    case "number":
    case "word":
    case "variable":
      return { label: name, op, value: sign + value.text, bare: true };
  }
  throw new NotShown(`${value.text} is no value`);
}

function attribute(r: Reader): string {
  const t = r.kind("word");
  // span."odd name": the quoted part follows the dot.
  const next = r.peek();
  if (t.text.endsWith(".") && next?.kind === "string" && next.start === t.end) {
    return t.text + r.next().text;
  }
  return t.text;
}

function metrics(r: Reader): NonNullable<TraceModel["metrics"]> {
  const fn = r.kind("word").text;
  if (!(fn in spanMetrics)) {
    throw new NotShown(`${fn} is more than the builder shows`);
  }
  return { fn, args: list(r), by: r.take("by") ? list(r) : [] };
}

function list(r: Reader): string[] {
  r.expect("(");
  const out: string[] = [];
  while (!r.take(")")) {
    const t = r.next();
    if (t.kind !== "word" && t.kind !== "number") {
      throw new NotShown(`${t.text} is more than the builder shows`);
    }
    out.push(t.text);
    r.take(",");
  }
  return out;
}

export function explainTraceQL(m: TraceModel): string[] {
  const out = [
    m.metrics ? `Take the spans${conditions(m.filters)}.` : `Find traces with a span${conditions(m.filters)}.`,
  ];
  if (m.metrics) {
    const { fn, args, by } = m.metrics;
    out.push(
      `${fn}: ${spanMetrics[fn]}${args.length > 0 ? ` (${args.join(", ")})` : ""} in each step${by.length > 0 ? `, one series for each ${by.join(", ")}` : ""}.`,
    );
  }
  return out;
}

/** Whether a query answers series, not traces. */
export function isSpanMetric(expr: string): boolean {
  const tokens = lex(expr);
  return tokens.some((t, i) => t.text === "|" && (tokens[i + 1]?.text ?? "") in spanMetrics);
}
