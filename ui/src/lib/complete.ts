/**
 * What may be written at a place in a LogQL or TraceQL text. Looks only at what
 * stands before the cursor, so it works while the text is not yet a query.
 */
export type Place =
  | { kind: "field"; from: number }
  /** base is what the query asks without the condition at hand: values are counted among it. */
  | { kind: "value"; from: number; field: string; quote: boolean; base: string }
  | { kind: "stage"; from: number }
  | { kind: "operator"; from: number }
  | { kind: "function"; from: number }
  | { kind: "none" };

interface Scan {
  quote: string;
  quoteFrom: number;
  braces: number;
}

/** Walks the text before the cursor, minding quotes. */
function scan(text: string): Scan {
  let quote = "";
  let quoteFrom = -1;
  let braces = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text[i]!;
    if (quote) {
      if (c === "\\" && quote === '"') i++;
      else if (c === quote) quote = "";
      continue;
    }
    if (c === '"' || c === "`") {
      quote = c;
      quoteFrom = i;
    } else if (c === "{") braces++;
    else if (c === "}") braces = Math.max(0, braces - 1);
  }
  return { quote, quoteFrom, braces };
}

const word = /[\w.:-]*$/;

/** Where the last pair of braces opens, minding quotes, and whether it is closed. */
function lastBraces(text: string): { from: number; to: number } {
  let quote = "";
  let from = -1;
  let to = -1;
  for (let i = 0; i < text.length; i++) {
    const c = text[i]!;
    if (quote) {
      if (c === "\\" && quote === '"') i++;
      else if (c === quote) quote = "";
    } else if (c === '"' || c === "`") quote = c;
    else if (c === "{") {
      from = i;
      to = -1;
    } else if (c === "}") to = i;
  }
  return { from, to };
}

/** The query that stands before a condition, closed so that it can be asked. */
export function baseOf(language: "logql" | "traceql", before: string): string {
  const { from, to } = lastBraces(before);
  if (language === "traceql") {
    if (from < 0 || to >= 0) return "{ }";
    const inside = before
      .slice(from + 1)
      .replace(/&&\s*$/, "")
      .trim();
    // Beside an "or" or within parentheses nothing is certain.
    return inside === "" || /\|\|/.test(inside) || /\(\s*$/.test(inside) ? "{ }" : `{ ${inside} }`;
  }
  if (from < 0) return "{}";
  if (to < 0)
    return `{${before
      .slice(from + 1)
      .replace(/,\s*$/, "")
      .trim()}}`;
  const stages = before
    .slice(to + 1)
    .replace(/(\||,|\band\b)\s*$/, "")
    .trimEnd();
  const selector = before.slice(from, to + 1);
  return /\bor\s*$|\(\s*$/.test(stages) ? selector : selector + stages;
}

export function placeAt(language: "logql" | "traceql", text: string, pos: number): Place {
  const before = text.slice(0, pos);
  const s = scan(before);
  if (s.quote) {
    const head = before.slice(0, s.quoteFrom);
    const m = /([\w.:-]+)\s*(?:=~|!~|!=|>=|<=|=|>|<)\s*$/.exec(head);
    if (!m) return { kind: "none" };
    const base = baseOf(language, head.slice(0, m.index));
    return { kind: "value", from: s.quoteFrom + 1, field: m[1]!, quote: true, base };
  }
  const from = pos - (word.exec(before)?.[0].length ?? 0);
  const head = before.slice(0, from).trimEnd();
  const inside = s.braces > 0;
  const bare = (at: number, m: RegExpExecArray): Place => ({
    kind: "value",
    from: at,
    field: m[1]!,
    quote: false,
    base: baseOf(language, head.slice(0, m.index)),
  });
  const compared = /([\w.:-]+)\s*(=~|!~|!=|>=|<=|=|>|<)$/.exec(head);
  if (inside) {
    if (compared) return bare(from, compared);
    if (language === "logql") return /[{,]$/.test(head) ? { kind: "field", from } : { kind: "operator", from };
    return /([{(!]|&&|\|\|)$/.test(head) ? { kind: "field", from } : { kind: "operator", from };
  }
  if (/\|$/.test(head) && !/\|\|$/.test(head)) return { kind: "stage", from };
  if (/\b(by|without|on)\s*\($|\b(by|without|on)\s*\([^)]*,$/.test(head)) return { kind: "field", from };
  if (language === "logql" && compared) return bare(from, compared);
  if (head === "" || /\($/.test(head)) return { kind: "function", from };
  return { kind: "none" };
}

export const stages: Record<"logql" | "traceql", { label: string; detail: string }[]> = {
  logql: [
    { label: "= ", detail: "line contains" },
    { label: "~ ", detail: "line matches regexp" },
    { label: "json", detail: "parse the line as JSON" },
    { label: "logfmt", detail: "parse the line as key=value" },
    { label: "pattern ", detail: "parse by <names>" },
    { label: "regexp ", detail: "parse by named groups" },
    { label: "unpack", detail: "unpack labels from JSON" },
    { label: "line_format ", detail: "rewrite the line" },
    { label: "label_format ", detail: "rename or make labels" },
    { label: "drop ", detail: "drop labels" },
    { label: "keep ", detail: "keep labels" },
    { label: "decolorize", detail: "strip colour codes" },
    { label: "unwrap ", detail: "use a label as the value" },
    { label: "detected_level=", detail: "by severity" },
  ],
  traceql: [
    { label: "select(", detail: "add fields to the answer" },
    { label: "rate()", detail: "spans a second" },
    { label: "count_over_time()", detail: "spans a step" },
    { label: "quantile_over_time(duration, 0.95)", detail: "latency quantile" },
    { label: "histogram_over_time(duration)", detail: "latency heatmap" },
    { label: "avg_over_time(duration)", detail: "mean latency" },
    { label: "compare({ status = error })", detail: "selection against the rest" },
    { label: "by(", detail: "group spans" },
    { label: "count()", detail: "spans a trace" },
    { label: "coalesce()", detail: "undo grouping" },
  ],
};

export const functions: Record<"logql" | "traceql", string[]> = {
  logql: [
    "sum",
    "avg",
    "min",
    "max",
    "count",
    "topk",
    "bottomk",
    "rate",
    "count_over_time",
    "bytes_rate",
    "bytes_over_time",
    "sum_over_time",
    "avg_over_time",
    "max_over_time",
    "min_over_time",
    "quantile_over_time",
    "first_over_time",
    "last_over_time",
    "absent_over_time",
  ],
  traceql: ["{ status = error }", "{ duration > 1s }", "{ kind = server }"],
};

export const traceIntrinsics = [
  "name",
  "status",
  "statusMessage",
  "duration",
  "kind",
  "rootName",
  "rootServiceName",
  "traceDuration",
  "nestedSetParent",
  "span:id",
  "trace:id",
  "event:name",
];

/** Values that TraceQL writes without quotes. */
export const bareValues: Record<string, string[]> = {
  status: ["error", "ok", "unset"],
  kind: ["server", "client", "producer", "consumer", "internal", "unspecified"],
};
