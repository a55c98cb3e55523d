import { lex, NotShown, quote, type Reader, type Shown, show, unquote } from "./lexer";
import { type Matcher, readMatchers, selectorText } from "./matchers";
import { conditions } from "./promql";

/** One stage of a LogQL pipeline. */
export type Stage =
  | { kind: "line"; op: string; value: string }
  | { kind: "parser"; name: string; value?: string }
  | { kind: "label"; label: string; op: string; value: string; bare?: boolean }
  | { kind: "format"; name: string; value: string };

/** What the LogQL builder shows: a selector, stages, and how lines become series. */
export interface LogModel {
  matchers: Matcher[];
  stages: Stage[];
  /** Absent: the lines themselves. */
  range?: { fn: string; range: string; unwrap?: string; param?: string };
  aggregate?: { fn: string; by: string[] };
}

export const lineOps: Record<string, string> = {
  "|=": "contains",
  "!=": "does not contain",
  "|~": "matches the pattern",
  "!~": "does not match the pattern",
};

export const parsers: Record<string, string> = {
  json: "reads JSON into labels",
  logfmt: "reads key=value pairs into labels",
  unpack: "unpacks what promtail packed",
  decolorize: "drops the colours of a terminal",
  pattern: "reads labels by a pattern",
  regexp: "reads labels by a regular expression",
};
const parserTakes = new Set(["pattern", "regexp"]);

const formats: Record<string, string> = {
  line_format: "writes each line anew",
  label_format: "makes labels anew",
  drop: "drops labels",
  keep: "keeps only labels",
};

export const logRanges: Record<string, string> = {
  count_over_time: "how many lines",
  rate: "how many lines a second",
  bytes_over_time: "how many bytes",
  bytes_rate: "how many bytes a second",
  sum_over_time: "the sum of a label's values",
  avg_over_time: "the mean of a label's values",
  min_over_time: "the least of a label's values",
  max_over_time: "the greatest of a label's values",
  quantile_over_time: "a quantile of a label's values",
};
export const needsUnwrap = (fn: string) => !["count_over_time", "rate", "bytes_over_time", "bytes_rate"].includes(fn);

export const logAggregations: Record<string, string> = {
  sum: "add up",
  avg: "take the mean",
  min: "take the least",
  max: "take the greatest",
  count: "count the series",
};

const labelFilterOps = ["=", "!=", "=~", "!~", ">", ">=", "<", "<=", "=="];

export function renderLogQL(m: LogModel): string {
  const lines = [selectorText(m.matchers), ...m.stages.map(stageText)].join(" ");
  if (!m.range) {
    return lines;
  }
  const { fn, range, unwrap, param } = m.range;
  const inner = `${lines}${unwrap ? ` | unwrap ${unwrap}` : ""} [${range}]`;
  const series = `${fn}(${fn === "quantile_over_time" ? `${param ?? "0.95"}, ` : ""}${inner})`;
  if (!m.aggregate) {
    return series;
  }
  const by = m.aggregate.by.length > 0 ? ` by (${m.aggregate.by.join(", ")}) ` : "";
  return `${m.aggregate.fn}${by}(${series})`;
}

function stageText(s: Stage): string {
  switch (s.kind) {
    case "line":
      return `${s.op} ${s.value.includes("`") ? quote(s.value) : `\`${s.value}\``}`;
    case "parser":
      return `| ${s.name}${s.value === undefined ? "" : ` ${s.value.includes("`") ? quote(s.value) : `\`${s.value}\``}`}`;
    case "label":
      return `| ${s.label}${s.op}${s.bare ? s.value : quote(s.value)}`;
    case "format":
      return `| ${s.name} ${s.value}`;
  }
}

export function parseLogQL(text: string): Shown<LogModel> {
  if (text.trim() === "") {
    return { model: { matchers: [], stages: [] } };
  }
  return show(text, (r) => expression(r, text));
}

function expression(r: Reader, text: string): LogModel {
  const t = r.peek();
  if (t?.text === "{") {
    return pipeline(r, text);
  }
  const head = r.kind("word").text;
  if (head in logAggregations) {
    let by = grouping(r);
    r.expect("(");
    const m = series(r, r.kind("word").text, text);
    r.expect(")");
    by ??= grouping(r);
    return { ...m, aggregate: { fn: head, by: by ?? [] } };
  }
  return series(r, head, text);
}

function series(r: Reader, fn: string, text: string): LogModel {
  if (!(fn in logRanges)) {
    throw new NotShown(`${fn} is more than the builder shows`);
  }
  r.expect("(");
  let param: string | undefined;
  if (fn === "quantile_over_time") {
    param = r.kind("number").text;
    r.expect(",");
  }
  const { unwrap, ...m } = pipeline(r, text);
  r.expect("[");
  const range = r.next();
  if (range.kind !== "number" && range.kind !== "variable") {
    throw new NotShown(`${range.text} is no window`);
  }
  r.expect("]");
  r.expect(")");
  return { ...m, range: { fn, range: range.text, ...(unwrap ? { unwrap } : {}), ...(param ? { param } : {}) } };
}

function grouping(r: Reader): string[] | undefined {
  if (!r.take("by")) {
    return undefined;
  }
  r.expect("(");
  const labels: string[] = [];
  while (!r.take(")")) {
    labels.push(r.kind("word").text);
    r.take(",");
  }
  return labels;
}

function pipeline(r: Reader, text: string): LogModel & { unwrap?: string } {
  r.expect("{");
  const m: LogModel & { unwrap?: string } = { matchers: readMatchers(r), stages: [] };
  for (let t = r.peek(); t && (t.text in lineOps || t.text === "|"); t = r.peek()) {
    r.next();
    if (t.text !== "|") {
      m.stages.push({ kind: "line", op: t.text, value: unquote(r.kind("string").text) });
      continue;
    }
    const name = r.kind("word").text;
    if (name === "unwrap") {
      m.unwrap = r.kind("word").text;
      break;
    }
    m.stages.push(stage(r, name, text));
  }
  return m;
}

function stage(r: Reader, name: string, text: string): Stage {
  const next = r.peek();
  if (name in parsers) {
    if (parserTakes.has(name)) {
      return { kind: "parser", name, value: unquote(r.kind("string").text) };
    }
    if (next && next.text !== "|" && next.text !== "[" && next.kind !== "close" && !(next.text in lineOps)) {
      throw new NotShown(`arguments of ${name} are more than the builder shows`);
    }
    return { kind: "parser", name };
  }
  if (name in formats) {
    // As written, to the next stage.
    const from = next?.start ?? text.length;
    let to = from;
    for (let t = r.peek(); t && t.text !== "|" && t.text !== "[" && t.kind !== "close"; t = r.peek()) {
      to = r.next().end;
    }
    return { kind: "format", name, value: text.slice(from, to) };
  }
  const op = r.next();
  if (!labelFilterOps.includes(op.text)) {
    throw new NotShown(`${op.text} is more than the builder shows`);
  }
  const value = r.next();
  const after = r.peek();
  if (after && ["or", "and", ","].includes(after.text)) {
    throw new NotShown("conditions joined by and, or are more than the builder shows");
  }
  if (value.kind === "string") {
    return { kind: "label", label: name, op: op.text, value: unquote(value.text) };
  }
  if (value.kind === "number" || value.kind === "variable") {
    return { kind: "label", label: name, op: op.text, value: value.text, bare: true };
  }
  throw new NotShown(`${value.text} is more than the builder shows`);
}

export function explainLogQL(m: LogModel): string[] {
  const out = [`Take the log lines${conditions(m.matchers)}.`];
  for (const s of m.stages) {
    switch (s.kind) {
      case "line":
        out.push(`Keep lines in which the text ${lineOps[s.op]} ${s.value || "nothing"}.`);
        break;
      case "parser":
        out.push(`${s.name}: ${parsers[s.name]}${s.value ? ` (${s.value})` : ""}.`);
        break;
      case "label":
        out.push(`Keep lines${conditions([s])}.`);
        break;
      case "format":
        out.push(`${s.name}: ${formats[s.name]} (${s.value}).`);
    }
  }
  if (m.range) {
    out.push(
      `${m.range.fn}: ${logRanges[m.range.fn]}${m.range.unwrap ? ` (${m.range.unwrap})` : ""}, over ${m.range.range} before each point.`,
    );
  }
  if (m.aggregate) {
    out.push(
      `${m.aggregate.fn}: ${logAggregations[m.aggregate.fn]}${m.aggregate.by.length > 0 ? `, one result for each ${m.aggregate.by.join(", ")}` : " over all"}.`,
    );
  }
  return out;
}

/** Whether a query answers lines, not series. */
export function isLines(expr: string): boolean {
  return lex(expr)[0]?.text === "{";
}

/** The part of a text that selects lines: of a series the selector and stages inside. */
export function linesOf(expr: string): string {
  const { model } = parseLogQL(expr);
  if (model) {
    return renderLogQL({ matchers: model.matchers, stages: model.stages });
  }
  return isLines(expr) ? expr : "";
}

/** How many lines of each level a query has: the histogram above log lines. */
export function volumeOf(expr: string): string | undefined {
  return isLines(expr) ? `sum by (detected_level) (count_over_time(${expr} [$__auto]))` : undefined;
}
