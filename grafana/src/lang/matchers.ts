import { lex, NotShown, quote, type Reader, type Token, unquote } from "./lexer";

/** One condition on a label or an attribute. */
export interface Matcher {
  label: string;
  op: string;
  value: string;
  /** Written without quotes: a number, a duration, a keyword. */
  bare?: boolean;
}

export const labelOps = ["=", "!=", "=~", "!~"] as const;

/** `{a="b", c=~"d"}` with its braces, as PromQL and LogQL write it. */
export function selectorText(list: readonly Matcher[]): string {
  return `{${list
    .filter((m) => m.label)
    .map((m) => `${labelName(m.label)}${m.op}${quote(m.value)}`)
    .join(", ")}}`;
}

/** A name that is no plain identifier is written in quotes. */
export function labelName(name: string): string {
  return /^[A-Za-z_]\w*$/.test(name) ? name : quote(name);
}

/** Reads what is between braces, the opening one taken already. */
export function readMatchers(r: Reader): Matcher[] {
  const out: Matcher[] = [];
  while (!r.take("}")) {
    const name = r.next();
    if (name.kind !== "word" && name.kind !== "string") {
      throw new NotShown(`${name.text} is no label`);
    }
    const op = r.next();
    if (!(labelOps as readonly string[]).includes(op.text)) {
      throw new NotShown(`${op.text} compares no labels`);
    }
    const value = r.kind("string");
    out.push({
      label: name.kind === "string" ? unquote(name.text) : name.text,
      op: op.text,
      value: unquote(value.text),
    });
    if (!r.take(",") && !r.is("}")) {
      throw new NotShown("a selector does not end");
    }
  }
  return out;
}

// Words before a parenthesis that hold labels, no series.
const groupings = new Set(["by", "without", "on", "ignoring", "group_left", "group_right"]);
const keywords = new Set([
  "and",
  "or",
  "unless",
  "bool",
  "offset",
  "inf",
  "nan",
  "start",
  "end",
  "atan2",
  ...groupings,
]);

/** Adds a matcher to every selector of a PromQL expression, whatever the expression is. */
export function addToPromQL(expr: string, m: Matcher): string {
  const tokens = lex(expr);
  const add = `${labelName(m.label)}${m.op}${quote(m.value)}`;
  const edits: Array<{ at: number; text: string }> = [];
  let i = 0;
  while (i < tokens.length) {
    const t = tokens[i] as Token;
    const next = tokens[i + 1];
    if (t.text === "{") {
      const close = closing(tokens, i);
      edits.push(insideBraces(tokens, i, close, add));
      i = close + 1;
      continue;
    }
    if (groupings.has(t.text.toLowerCase()) && next?.text === "(") {
      i = closing(tokens, i + 1) + 1;
      continue;
    }
    const name = t.kind === "word" && !keywords.has(t.text.toLowerCase()) && next?.text !== "(";
    if (name && !groupings.has(next?.text ?? "")) {
      if (next?.text === "{") {
        i++;
        continue;
      }
      edits.push({ at: t.end, text: `{${add}}` });
    }
    i++;
  }
  return apply(expr, edits);
}

/** Adds a filter after every stream selector of a LogQL expression. */
export function addToLogQL(expr: string, m: Matcher): string {
  const tokens = lex(expr);
  const edits: Array<{ at: number; text: string }> = [];
  for (let i = 0; i < tokens.length; i++) {
    if (tokens[i]?.text !== "{") {
      continue;
    }
    const close = closing(tokens, i);
    // A label that only a later stage makes cannot be asked of the selector, so
    // it is a stage of its own; it goes behind the parsers that may make it.
    let end = close;
    for (let k = close + 1; tokens[k]?.kind === "op" && isStage(tokens[k] as Token); ) {
      k = stageEnd(tokens, k);
      end = k - 1;
    }
    edits.push({ at: (tokens[end] as Token).end, text: ` | ${m.label}${m.op}${quote(m.value)}` });
    i = close;
  }
  return apply(expr, edits);
}

const isStage = (t: Token) => ["|", "|=", "!=", "|~", "!~", "|>", "!>"].includes(t.text);

/** The index behind a stage of a pipeline that starts at i. */
function stageEnd(tokens: readonly Token[], i: number): number {
  let depth = 0;
  let k = i + 1;
  // The operator within a label filter (`| a != "b"`) starts no stage.
  if (
    tokens[i]?.text === "|" &&
    tokens[k]?.kind === "word" &&
    tokens[k + 1]?.kind === "op" &&
    tokens[k + 1]?.text !== "|"
  ) {
    k += 3;
  }
  for (; k < tokens.length; k++) {
    const t = tokens[k] as Token;
    if (t.kind === "open" && t.text !== "[") {
      depth++;
    } else if (t.kind === "close" && depth > 0) {
      depth--;
    } else if (depth === 0 && (t.kind === "close" || t.text === "[" || isStage(t))) {
      break;
    }
  }
  return k;
}

/** Adds a condition to every span filter of a TraceQL query. */
export function addToTraceQL(expr: string, m: Matcher): string {
  const tokens = lex(expr);
  const add = `${m.label}${m.op}${m.bare ? m.value : quote(m.value)}`;
  const edits: Array<{ at: number; text: string }> = [];
  for (let i = 0; i < tokens.length; i++) {
    if (tokens[i]?.text !== "{") {
      continue;
    }
    const close = closing(tokens, i);
    const last = tokens[close] as Token;
    if (close > i + 1) {
      // The condition is on its own side of an `||` within the braces.
      edits.push({ at: (tokens[i] as Token).end, text: hasOr(tokens, i, close) ? "(" : "" });
      edits.push({ at: (tokens[close - 1] as Token).end, text: `${hasOr(tokens, i, close) ? ")" : ""} && ${add}` });
    } else {
      edits.push({ at: last.start, text: add });
    }
    i = close;
  }
  return apply(expr, edits);
}

const hasOr = (tokens: readonly Token[], from: number, to: number) =>
  tokens.slice(from, to).some((t) => t.text === "||");

function insideBraces(tokens: readonly Token[], open: number, close: number, add: string) {
  const last = tokens[close - 1];
  const at = (tokens[close] as Token | undefined)?.start ?? (last?.end as number);
  return { at, text: close === open + 1 || last?.text === "," ? add : `, ${add}` };
}

/** The index of the bracket that closes the one at i; the last token when none does. */
function closing(tokens: readonly Token[], i: number): number {
  let depth = 0;
  for (let k = i; k < tokens.length; k++) {
    if (tokens[k]?.kind === "open") {
      depth++;
    } else if (tokens[k]?.kind === "close" && --depth === 0) {
      return k;
    }
  }
  return tokens.length - 1;
}

function apply(text: string, edits: ReadonlyArray<{ at: number; text: string }>): string {
  let out = text;
  for (const e of [...edits].sort((a, b) => b.at - a.at)) {
    out = out.slice(0, e.at) + e.text + out.slice(e.at);
  }
  return out;
}

/** Whether any selector or filter of a text has exactly this condition. */
export function hasMatcher(expr: string, m: Matcher): boolean {
  const tokens = lex(expr);
  return tokens.some(
    (t, i) => nameOf(t) === m.label && tokens[i + 1]?.text === m.op && textOf(tokens[i + 2]) === m.value,
  );
}

/** Takes a condition out of a text, with the comma, pipe or && that joined it. */
export function removeMatcher(expr: string, m: Matcher): string {
  let text = expr;
  for (;;) {
    const tokens = lex(text);
    const i = tokens.findIndex(
      (t, k) => nameOf(t) === m.label && tokens[k + 1]?.text === m.op && textOf(tokens[k + 2]) === m.value,
    );
    if (i < 0) {
      return text;
    }
    const before = tokens[i - 1];
    const after = tokens[i + 3];
    let from = (tokens[i] as Token).start;
    let to = (tokens[i + 2] as Token).end;
    if (before && [",", "&&", "|"].includes(before.text)) {
      from = tokens[i - 2]?.end ?? before.start;
    } else if (after && [",", "&&"].includes(after.text)) {
      to = tokens[i + 4]?.start ?? after.end;
    }
    text = text.slice(0, from) + text.slice(to);
  }
}

const nameOf = (t: Token) => (t.kind === "string" ? unquote(t.text) : t.text);
const textOf = (t: Token | undefined) => (t?.kind === "string" ? unquote(t.text) : t?.text);
