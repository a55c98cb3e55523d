/**
 * What may be written at a place in a LogQL or TraceQL text. Looks only at what
 * stands before the cursor, so it works while the text is not yet a query.
 */
export type Place =
  | { kind: "field"; from: number }
  | { kind: "value"; from: number; field: string; quote: boolean }
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

export function placeAt(language: "logql" | "traceql", text: string, pos: number): Place {
  const before = text.slice(0, pos);
  const s = scan(before);
  if (s.quote) {
    const head = before.slice(0, s.quoteFrom);
    const m = /([\w.:-]+)\s*(?:=~|!~|!=|>=|<=|=|>|<)\s*$/.exec(head);
    return m ? { kind: "value", from: s.quoteFrom + 1, field: m[1]!, quote: true } : { kind: "none" };
  }
  const from = pos - (word.exec(before)?.[0].length ?? 0);
  const head = before.slice(0, from).trimEnd();
  const inside = s.braces > 0;
  const compared = /([\w.:-]+)\s*(=~|!~|!=|>=|<=|=|>|<)$/.exec(head);
  if (inside) {
    if (compared) return { kind: "value", from, field: compared[1]!, quote: false };
    if (language === "logql") return /[{,]$/.test(head) ? { kind: "field", from } : { kind: "operator", from };
    return /([{(!]|&&|\|\|)$/.test(head) ? { kind: "field", from } : { kind: "operator", from };
  }
  if (/\|$/.test(head) && !/\|\|$/.test(head)) return { kind: "stage", from };
  if (/\b(by|without|on)\s*\($|\b(by|without|on)\s*\([^)]*,$/.test(head)) return { kind: "field", from };
  if (language === "logql" && compared) return { kind: "value", from, field: compared[1]!, quote: false };
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
