import { NotShown, type Reader, type Shown, show, unquote } from "./lexer";
import { labelName, type Matcher, readMatchers, selectorText } from "./matchers";

/** One function around what stands before it, or a number computed with it. */
export type Operation =
  | { kind: "range"; fn: string; range: string; param?: string }
  | { kind: "aggregate"; fn: string; by: string[]; without?: boolean; param?: string }
  | { kind: "function"; fn: string; param?: string }
  | { kind: "binary"; op: string; value: string };

/** What the PromQL builder shows: a selector, and what is done with it, innermost first. */
export interface PromModel {
  metric: string;
  matchers: Matcher[];
  operations: Operation[];
}

export const rangeFunctions: Record<string, string> = {
  rate: "how fast a counter grows, a second",
  increase: "how much a counter grew in the window",
  irate: "how fast a counter grew between its last two samples",
  delta: "how much a gauge changed in the window",
  deriv: "the slope of a gauge, a second",
  avg_over_time: "the mean in the window",
  min_over_time: "the least value in the window",
  max_over_time: "the greatest value in the window",
  sum_over_time: "the sum of the values in the window",
  count_over_time: "how many samples are in the window",
  last_over_time: "the newest value in the window",
  quantile_over_time: "a quantile of the values in the window",
  changes: "how often the value changed in the window",
  resets: "how often a counter fell back in the window",
};

export const aggregations: Record<string, string> = {
  sum: "adds up",
  avg: "takes the mean",
  min: "takes the least",
  max: "takes the greatest",
  count: "counts the series",
  topk: "keeps the greatest series",
  bottomk: "keeps the least series",
  quantile: "takes a quantile over the series",
  stddev: "takes the standard deviation",
  group: "keeps only that there is something",
};

export const functions: Record<string, string> = {
  histogram_quantile: "estimates a quantile from a histogram",
  histogram_avg: "takes the mean of a native histogram",
  histogram_count: "counts the observations of a native histogram",
  histogram_sum: "sums the observations of a native histogram",
  abs: "drops the sign",
  ceil: "rounds up",
  floor: "rounds down",
  round: "rounds",
  ln: "takes the natural logarithm",
  log2: "takes the logarithm to base 2",
  log10: "takes the logarithm to base 10",
  sqrt: "takes the square root",
  clamp_min: "lets no value be less",
  clamp_max: "lets no value be greater",
  sort: "sorts by value",
  sort_desc: "sorts by value, greatest first",
  absent: "answers 1 when there is nothing",
};

const paramFirst = new Set(["histogram_quantile", "quantile_over_time", "topk", "bottomk", "quantile"]);
const paramLast = new Set(["clamp_min", "clamp_max", "round"]);
/** What a function's number is when none is given; undefined when it takes none. */
export function defaultParam(fn: string): string | undefined {
  if (fn === "topk" || fn === "bottomk") {
    return "5";
  }
  if (paramFirst.has(fn)) {
    return "0.95";
  }
  return fn === "clamp_min" || fn === "clamp_max" ? "0" : undefined;
}

export const binaryOps = ["+", "-", "*", "/", "%", "^", ">", ">=", "<", "<=", "==", "!="] as const;

/** The text of a model. */
export function renderPromQL(m: PromModel): string {
  let text = m.metric;
  if (m.matchers.some((x) => x.label) || !m.metric) {
    text += selectorText(m.matchers);
  }
  for (const [i, op] of m.operations.entries()) {
    const inner = m.operations[i - 1]?.kind === "binary" && op.kind === "binary" ? `(${text})` : text;
    text = wrap(inner, op);
  }
  return text;
}

function wrap(inner: string, op: Operation): string {
  switch (op.kind) {
    case "binary":
      return `${inner} ${op.op} ${op.value}`;
    case "range":
      return call(op.fn, `${inner}[${op.range}]`, op.param);
    case "function":
      return call(op.fn, inner, op.param);
    case "aggregate": {
      const labels = op.by.map(labelName).join(", ");
      const head = op.by.length > 0 || op.without ? `${op.fn} ${op.without ? "without" : "by"} (${labels}) ` : op.fn;
      return call(head, inner, op.param, op.fn);
    }
  }
}

function call(head: string, inner: string, param: string | undefined, fn = head): string {
  if (!param) {
    return `${head}(${inner})`;
  }
  return paramLast.has(fn) ? `${head}(${inner}, ${param})` : `${head}(${param}, ${inner})`;
}

/** The model of a text, or why the builder cannot show it. */
export function parsePromQL(text: string): Shown<PromModel> {
  if (text.trim() === "") {
    return { model: { metric: "", matchers: [], operations: [] } };
  }
  return show(text, expression);
}

function expression(r: Reader): PromModel {
  const m = operand(r);
  for (;;) {
    const op = r.peek();
    if (!op || !(binaryOps as readonly string[]).includes(op.text)) {
      return m;
    }
    r.next();
    m.operations.push({ kind: "binary", op: op.text, value: number(r) });
    const next = r.peek();
    if (next && (binaryOps as readonly string[]).includes(next.text)) {
      throw new NotShown("several operators beside each other are more than the builder shows");
    }
  }
}

function number(r: Reader): string {
  const sign = r.take("-") ? "-" : "";
  const t = r.next();
  if (t.kind !== "number" && t.kind !== "variable") {
    throw new NotShown("two series combined are more than the builder shows");
  }
  return sign + t.text;
}

function operand(r: Reader): PromModel {
  if (r.take("(")) {
    const m = expression(r);
    r.expect(")");
    return m;
  }
  if (r.is("{")) {
    return selector(r, "");
  }
  const t = r.next();
  if (t.kind !== "word" && t.kind !== "variable") {
    throw new NotShown(`${t.text} begins no series`);
  }
  const fn = t.text.toLowerCase();
  if (fn in aggregations && (r.is("(") || r.is("by") || r.is("without"))) {
    return aggregate(r, fn);
  }
  if (r.is("(")) {
    return applied(r, t.text);
  }
  return selector(r, t.text);
}

function selector(r: Reader, metric: string): PromModel {
  return { metric, matchers: r.take("{") ? readMatchers(r) : [], operations: [] };
}

function applied(r: Reader, fn: string): PromModel {
  r.expect("(");
  let param = paramFirst.has(fn) ? comma(r) : undefined;
  const m = expression(r);
  if (fn in rangeFunctions) {
    r.expect("[");
    const range = r.next();
    if (range.kind !== "number" && range.kind !== "variable") {
      throw new NotShown(`${range.text} is no window`);
    }
    r.expect("]");
    if (m.operations.length > 0) {
      throw new NotShown("a subquery is more than the builder shows");
    }
    m.operations.push({ kind: "range", fn, range: range.text, ...(param === undefined ? {} : { param }) });
  } else if (fn in functions) {
    if (paramLast.has(fn) && r.take(",")) {
      param = number(r);
    }
    m.operations.push({ kind: "function", fn, ...(param === undefined ? {} : { param }) });
  } else {
    throw new NotShown(`${fn} is more than the builder shows`);
  }
  r.expect(")");
  return m;
}

function comma(r: Reader): string {
  const value = number(r);
  r.expect(",");
  return value;
}

function aggregate(r: Reader, fn: string): PromModel {
  let group = grouping(r);
  r.expect("(");
  const param = paramFirst.has(fn) ? comma(r) : undefined;
  const m = expression(r);
  r.expect(")");
  group ??= grouping(r);
  m.operations.push({
    kind: "aggregate",
    fn,
    by: group?.labels ?? [],
    ...(group?.without ? { without: true } : {}),
    ...(param === undefined ? {} : { param }),
  });
  return m;
}

function grouping(r: Reader): { labels: string[]; without: boolean } | undefined {
  const without = r.is("without");
  if (!without && !r.is("by")) {
    return undefined;
  }
  r.next();
  r.expect("(");
  const labels: string[] = [];
  while (!r.take(")")) {
    const t = r.next();
    if (t.kind !== "word" && t.kind !== "string") {
      throw new NotShown(`${t.text} is no label`);
    }
    labels.push(t.kind === "string" ? unquote(t.text) : t.text);
    r.take(",");
  }
  return { labels, without };
}

/** What a query does, in words, innermost first. */
export function explainPromQL(m: PromModel): string[] {
  const out = [`Take ${m.metric ? `the series ${m.metric}` : "every series"}${conditions(m.matchers)}.`];
  for (const op of m.operations) {
    out.push(explainOperation(op));
  }
  return out;
}

function explainOperation(op: Operation): string {
  switch (op.kind) {
    case "range":
      return `${op.fn}: ${rangeFunctions[op.fn]}${op.param ? ` (${op.param})` : ""}, over ${op.range} before each point.`;
    case "aggregate": {
      const groups =
        op.by.length > 0
          ? `, one result for each ${op.without ? "value of the labels other than" : ""} ${op.by.join(", ")}`.replace(
              "  ",
              " ",
            )
          : ", over all series";
      return `${op.fn}: ${aggregations[op.fn]}${op.param ? ` (${op.param})` : ""}${groups}.`;
    }
    case "function":
      return `${op.fn}: ${functions[op.fn]}${op.param ? ` (${op.param})` : ""}.`;
    case "binary":
      return [">", ">=", "<", "<=", "==", "!="].includes(op.op)
        ? `Keep values ${op.op} ${op.value}.`
        : `Compute ${op.op} ${op.value} with each value.`;
  }
}

/** Conditions in words, to be put behind a noun. */
export function conditions(list: readonly Matcher[]): string {
  const words: Record<string, string> = {
    "=": "is",
    "!=": "is not",
    "=~": "matches",
    "!~": "does not match",
    ">": "is over",
    "<": "is under",
    ">=": "is at least",
    "<=": "is at most",
  };
  const parts = list
    .filter((m) => m.label)
    .map((m) => `${m.label} ${words[m.op] ?? m.op} ${m.value === "" ? "empty" : m.value}`);
  return parts.length > 0 ? ` where ${parts.join(" and ")}` : "";
}
