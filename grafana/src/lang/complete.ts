import type { QueryType } from "../types";
import { federatedSignals, idKinds } from "./federated";
import { lex, type Token, unquote } from "./lexer";
import { logAggregations, logRanges, parsers } from "./logql";
import { aggregations, functions, rangeFunctions } from "./promql";
import { intrinsics, keywordsOf, spanMetrics } from "./traceql";

/** One word offered while typing. */
export interface Suggestion {
  label: string;
  /** What is put in; the label when absent. */
  insert?: string;
  kind: "metric" | "label" | "value" | "function" | "keyword" | "duration";
  detail?: string;
}

/** Where the lists come from; the data source's resources satisfy it. */
export interface Lists {
  metrics(): Promise<string[]>;
  labels(match?: string): Promise<string[]>;
  labelValues(label: string, match?: string): Promise<string[]>;
  logLabels(): Promise<string[]>;
  logLabelValues(label: string): Promise<string[]>;
  tags(): Promise<string[]>;
  tagValues(tag: string): Promise<string[]>;
}

/** Where in a query the cursor is. */
export type Place =
  | { at: "value"; label: string; selector?: string; quoted: boolean }
  | { at: "label"; selector?: string }
  | { at: "grouping" }
  | { at: "window" }
  | { at: "stage" }
  | { at: "start" }
  | { at: "nothing" };

const comparisons = new Set(["=", "!=", "=~", "!~", ">", ">=", "<", "<="]);

/** Finds the place of an offset, whatever the language is. */
export function placeOf(text: string, offset: number): Place {
  const before = lex(text.slice(0, offset));
  const last = before.at(-1);
  const open = openBracket(before);
  const quoted = last?.kind === "bad" && /["'`]/.test(last.text) ? last : openString(before);
  if (quoted) {
    const i = before.indexOf(quoted);
    return comparisons.has(before[i - 1]?.text ?? "") && before[i - 2] && open?.text === "{"
      ? { at: "value", label: nameOf(before[i - 2] as Token), quoted: true, ...selector(text, before, open) }
      : { at: "nothing" };
  }
  if (open?.text === "[") {
    return { at: "window" };
  }
  // The word being typed does not count.
  const words =
    last && last.end === offset && (last.kind === "word" || last.kind === "number") ? before.slice(0, -1) : before;
  const previous = words.at(-1);
  if (open?.text === "{") {
    if (comparisons.has(previous?.text ?? "")) {
      return { at: "value", label: nameOf(words.at(-2) as Token), quoted: false, ...selector(text, before, open) };
    }
    if (!previous || ["{", ",", "&&", "||", "("].includes(previous.text)) {
      return { at: "label", ...selector(text, before, open) };
    }
    return { at: "nothing" };
  }
  if (
    open?.text === "(" &&
    ["by", "without", "on", "ignoring"].includes(before[before.indexOf(open) - 1]?.text ?? "")
  ) {
    return { at: "grouping" };
  }
  if (previous?.text === "|") {
    return { at: "stage" };
  }
  const starts =
    !previous ||
    ["(", ",", "+", "-", "*", "/", "%", "^", ">", "<", ">=", "<=", "==", "and", "or", "unless", ")"].includes(
      previous.text,
    );
  return starts ? { at: "start" } : { at: "nothing" };
}

function openBracket(tokens: readonly Token[]): Token | undefined {
  const stack: Token[] = [];
  for (const t of tokens) {
    if (t.kind === "open") {
      stack.push(t);
    } else if (t.kind === "close") {
      stack.pop();
    }
  }
  return stack.at(-1);
}

// A quote that nothing closes: all behind it is the string.
function openString(tokens: readonly Token[]): Token | undefined {
  return tokens.find((t) => t.kind === "bad" && /["'`]/.test(t.text));
}

/** The selector around the cursor without the condition being typed, so that only what exists with it is offered. */
function selector(text: string, before: readonly Token[], open: Token): { selector?: string } {
  const i = before.indexOf(open);
  const metric =
    before[i - 1]?.kind === "word" && before[i - 1]?.end === open.start ? (before[i - 1] as Token).text : "";
  const done: string[] = [];
  for (let k = i + 1; k + 2 < before.length; k++) {
    const value = before[k + 2] as Token;
    if (comparisons.has(before[k + 1]?.text ?? "") && value.kind === "string") {
      done.push(text.slice((before[k] as Token).start, value.end));
      k += 2;
    }
  }
  return metric || done.length > 0 ? { selector: `${metric}{${done.join(",")}}` } : {};
}

const nameOf = (t: Token) => (t.kind === "string" ? unquote(t.text) : t.text);

/** What may stand at an offset of a query. */
export async function complete(
  type: QueryType | undefined,
  text: string,
  offset: number,
  lists: Lists,
): Promise<Suggestion[]> {
  switch (type) {
    case "logql":
      return logql(placeOf(text, offset), lists);
    case "traceql":
      return traceql(placeOf(text, offset), lists);
    case "federated":
      return federated(text, offset, lists);
    default:
      return promql(placeOf(text, offset), lists);
  }
}

const names = (list: readonly string[], kind: Suggestion["kind"]): Suggestion[] =>
  list.map((label) => ({ label, kind }));
const described = (
  list: Record<string, string>,
  kind: Suggestion["kind"],
  insert = (name: string) => name,
): Suggestion[] => Object.entries(list).map(([label, detail]) => ({ label, kind, detail, insert: insert(label) }));
const values = (list: readonly string[], quoted: boolean): Suggestion[] =>
  list.map((label) => ({
    label,
    kind: "value",
    insert: quoted ? label.replaceAll("\\", "\\\\").replaceAll('"', '\\"') : JSON.stringify(label),
  }));
const windows = names(["$__rate_interval", "$__interval", "$__range", "1m", "5m", "15m", "1h", "1d"], "duration");
const call = (name: string) => `${name}(`;

async function promql(place: Place, lists: Lists): Promise<Suggestion[]> {
  switch (place.at) {
    case "value":
      return values(await lists.labelValues(place.label, place.selector), place.quoted);
    case "label":
      return names(
        (await lists.labels(place.selector)).filter((l) => l !== "__name__"),
        "label",
      );
    case "grouping":
      return names(
        (await lists.labels()).filter((l) => l !== "__name__"),
        "label",
      );
    case "window":
      return windows;
    case "start":
      return [
        ...names(await lists.metrics(), "metric"),
        ...described({ ...rangeFunctions, ...functions, ...aggregations }, "function", call),
      ];
    default:
      return [];
  }
}

async function logql(place: Place, lists: Lists): Promise<Suggestion[]> {
  switch (place.at) {
    case "value":
      return values(await lists.logLabelValues(place.label), place.quoted);
    case "label":
    case "grouping":
      return names(await lists.logLabels(), "label");
    case "window":
      return [{ label: "$__auto", kind: "duration" }, ...windows];
    case "stage":
      return [
        ...described(
          {
            ...parsers,
            unwrap: "takes a label's value",
            line_format: "writes each line anew",
            label_format: "makes labels anew",
          },
          "keyword",
        ),
        ...names(await lists.logLabels(), "label"),
      ];
    case "start":
      return [
        { label: '{service_name=""}', insert: "{", kind: "keyword", detail: "select lines" },
        ...described({ ...logRanges, ...logAggregations }, "function", call),
      ];
    default:
      return [];
  }
}

async function traceql(place: Place, lists: Lists): Promise<Suggestion[]> {
  switch (place.at) {
    case "value": {
      const words = keywordsOf(place.label);
      return words && !place.quoted
        ? names(words, "keyword")
        : values(await lists.tagValues(place.label), place.quoted);
    }
    case "label":
    case "grouping":
      return [
        ...described(intrinsics, "label"),
        ...names(
          (await lists.tags()).filter((t) => !(t in intrinsics)),
          "label",
        ),
      ];
    case "stage":
      return [
        ...described(spanMetrics, "function", call),
        { label: "select", insert: "select(", kind: "function", detail: "answers attributes beside" },
      ];
    case "start":
      return [{ label: "{ }", insert: "{ ", kind: "keyword", detail: "find spans" }];
    default:
      return [];
  }
}

const line = /^\s*[A-Za-z_]\w*\s*=\s*(traces|logs|exemplars)\s+/;
const steps = [
  "semi join",
  "anti join",
  "enrich",
  "where",
  "group by",
  "histogram",
  "top",
  "bottom",
  "sort by",
  "limit",
  "select",
];

async function federated(text: string, offset: number, lists: Lists): Promise<Suggestion[]> {
  const from = text.lastIndexOf("\n", offset - 1) + 1;
  const here = text.slice(from, offset);
  const query = line.exec(here);
  if (query) {
    const type: QueryType = query[1] === "traces" ? "traceql" : query[1] === "logs" ? "logql" : "promql";
    return complete(type, here.slice(query[0].length), here.length - query[0].length, lists);
  }
  if (/=\s*\w*$/.test(here)) {
    return names(federatedSignals, "keyword");
  }
  if (/\b(on|by)\s+\w*$/.test(here)) {
    return names(idKinds, "keyword");
  }
  const known = [...text.matchAll(/^\s*([A-Za-z_]\w*)\s*=\s*(?:traces|logs|exemplars)\b/gm)].map((m) => m[1] as string);
  if (/\b(from|join)\s+\w*$/.test(here)) {
    return names(known, "label");
  }
  return [{ label: "from", kind: "keyword" }, ...names(steps, "keyword"), ...names(known, "label")];
}
