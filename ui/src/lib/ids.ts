/**
 * Finds what a pasted text may name: trace ids in any spelling, request ids,
 * UUIDs, in URLs, log lines, stack traces and headers. The server decides what
 * an id is; this only orders what to ask for.
 */
export interface Candidate {
  id: string;
  /** Why we think so, in words for the list below the search box. */
  what: string;
  score: number;
}

const maxText = 100_000;

interface Rule {
  what: string;
  score: number;
  pattern: RegExp;
}

const rules: Rule[] = [
  {
    what: "trace id of a traceparent",
    score: 100,
    pattern: /\b[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}\b/gi,
  },
  { what: "AWS X-Ray trace id", score: 98, pattern: /\b(1-[0-9a-f]{8}-[0-9a-f]{24})\b/gi },
  { what: "Google Cloud trace", score: 98, pattern: /\bprojects\/[\w.-]+\/traces\/([0-9a-f]{32})\b/gi },
  {
    what: "named trace id",
    score: 96,
    pattern: /\b(?:dd\.)?trace[_.-]?id["']?\s*[=:]\s*["']?([\w+/=-]{8,64})/gi,
  },
  {
    what: "named request id",
    score: 92,
    pattern:
      /\b(?:x-)?(?:request|correlation|req|flow|order|job|session|user|idempotency)[_.-]?(?:id|key)["']?\s*[=:]\s*["']?([^\s"',;&)}\]]{2,256})/gi,
  },
  { what: "in the path of a URL", score: 90, pattern: /\/(?:traces?|request|correlate)\/([\w%:.-]{6,256})/gi },
  { what: "32 hex digits", score: 80, pattern: /(?<![0-9a-z])([0-9a-f]{32})(?![0-9a-z])/gi },
  {
    what: "UUID",
    score: 78,
    pattern: /(?<![0-9a-z])([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})(?![0-9a-z])/gi,
  },
  { what: "16 hex digits", score: 70, pattern: /(?<![0-9a-z-])([0-9a-f]{16})(?![0-9a-z-])/gi },
];

/** The ids in a text, likeliest first, each once. */
export function findIds(text: string, limit = 8): Candidate[] {
  const source = text.slice(0, maxText).trim();
  const best = new Map<string, Candidate>();
  const add = (id: string, what: string, score: number) => {
    const clean = id.replace(/[.,;:)\]}]+$/, "");
    if (!/\d/.test(clean) && !/^[0-9a-f]{16,32}$/i.test(clean)) return;
    if (/^0+$/.test(clean)) return;
    const old = best.get(clean.toLowerCase());
    if (!old || old.score < score) best.set(clean.toLowerCase(), { id: clean, what, score });
  };
  for (const r of rules) {
    for (const m of source.matchAll(r.pattern)) add(safeDecode(m[1]!), r.what, r.score);
  }
  if (isOneWord(source) && looksLikeId(source)) add(source, "as it is", 60);
  return [...best.values()].sort((a, b) => b.score - a.score).slice(0, limit);
}

function safeDecode(s: string): string {
  try {
    return decodeURIComponent(s);
  } catch {
    return s;
  }
}

const isOneWord = (s: string) => s.length > 0 && s.length <= 256 && !/[\s{}()"|]|=(?!=?$)/.test(s);

/** A single word with digits that no service or metric is likely to be called. */
function looksLikeId(s: string): boolean {
  if (/^\d{6,39}$/.test(s)) return true;
  if (/^[A-Za-z0-9+/_-]{11,24}={0,2}$/.test(s) && /\d/.test(s) && /[A-Z]/.test(s)) return true;
  if (/^[A-Za-z]{1,12}[-_:#]?\d[\w-]*$/.test(s)) return true;
  return /\d/.test(s) && s.length >= 8 && /^[\w:.#@-]+$/.test(s);
}

export type Intent =
  | { kind: "id"; id: string; what: string }
  | { kind: "service"; name: string }
  | { kind: "promql"; query: string }
  | { kind: "logql"; query: string }
  | { kind: "traceql"; query: string }
  | { kind: "metric"; name: string }
  /** Requests to the path of a URL. */
  | { kind: "url"; path: string }
  /** Requests in which an exception of this type was recorded. */
  | { kind: "exception"; type: string }
  /** A text to find in logs, and when its line says that it was written. */
  | { kind: "text"; text: string; atMs?: number };

/** What a URL asks for: its path, without host, query and fragment; "GET /path" and bare paths count too. */
export function pathOf(text: string): string | undefined {
  const t = text.trim().replace(/^(GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS)\s+/i, "");
  if (/\s/.test(t)) return undefined;
  const m = /^(?:https?:\/\/[^/?#]+)?(\/[^?#]*)/i.exec(t);
  if (!m && /^https?:\/\/[^/?#]+/i.test(t)) return "/";
  return m?.[1] && m[1].length <= 2048 ? m[1] : undefined;
}

const exceptionLine =
  /^(?:Caused by:\s*|Exception in thread "[^"]*"\s*|Uncaught\s+|Unhandled exception\.?\s*)?((?:[A-Za-z_$][\w$]*[.:]{1,2})*[A-Z][\w$]*(?:Error|Exception|Fault|Panic|Timeout|Interrupt|Failure))(?::\s*(.*))?$/;

/** The exception of a stack trace of Java, Python, Node, .NET, Ruby or Go; the innermost cause when there are several. */
export function exceptionOf(text: string): { type: string; message: string } | undefined {
  let found: { type: string; message: string } | undefined;
  let frames = 0;
  for (const raw of text.slice(0, maxText).split(/\n|\s⏎\s/)) {
    const line = raw.trim();
    if (/^(at\s|File "|goroutine \d+|from\s\S+:\d+|\S+\.go:\d+|Traceback)/.test(line)) frames++;
    const go = /^panic:\s*(.*)$/.exec(line);
    if (go) found = { type: "panic", message: go[1] ?? "" };
    const m = exceptionLine.exec(line);
    if (m) found = { type: m[1]!, message: (m[2] ?? "").trim() };
  }
  return frames > 0 || /^panic:/.test(text.trim()) ? found : undefined;
}

/** The message of a pasted log line, without the time, level and service that a viewer wrote before it, and its time. */
export function messageOf(line: string, services: readonly string[]): { text: string; atMs?: number } {
  let rest = line.trim();
  let atMs: number | undefined;
  const time = /^\[?(\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(?:[.,]\d{1,9})?\s?(?:Z|[+-]\d{2}:?\d{2})?)\]?\s+/.exec(
    rest,
  );
  if (time) {
    const t = Date.parse(
      time[1]!
        .trim()
        .replace(",", ".")
        .replace(" ", "T")
        .replace(/(\.\d{3})\d+/, "$1"),
    );
    if (!Number.isNaN(t)) atMs = t;
    rest = rest.slice(time[0].length);
  }
  const level = /^\[?(trace|debug|info|notice|warn|warning|error|err|fatal|critical)\]?:?\s+/i.exec(rest);
  if (level && (time || rest.length > level[0].length + 8)) rest = rest.slice(level[0].length);
  const service = services.find((s) => rest.startsWith(`${s} `) || rest.startsWith(`${s}\t`));
  if (service && (time || level)) rest = rest.slice(service.length).trim();
  return atMs === undefined ? { text: rest } : { text: rest, atMs };
}

/** What the box should offer for a text, best first. */
export function intents(text: string, services: readonly string[], metrics: readonly string[] = []): Intent[] {
  const t = text.trim();
  if (!t) return [];
  const out: Intent[] = [];
  const lower = t.toLowerCase();
  const exact = services.find((s) => s.toLowerCase() === lower);
  if (exact) out.push({ kind: "service", name: exact });
  for (const c of findIds(t)) out.push({ kind: "id", id: c.id, what: c.what });
  const path = pathOf(t);
  if (path) out.push({ kind: "url", path });
  const thrown = exceptionOf(t);
  if (thrown && thrown.type !== "panic") out.push({ kind: "exception", type: thrown.type });
  if (thrown) {
    // A trace of Python begins like a call of PromQL.
  } else if (/^\{.*\}/s.test(t)) {
    const traceql =
      /\{[^}]*(duration|status|span\.|resource\.|name\s*=|kind|rootName|trace)/.test(t) &&
      !/\|[=~]|!~|\|\s*(json|logfmt)/.test(t);
    if (traceql) out.push({ kind: "traceql", query: t }, { kind: "logql", query: t });
    else out.push({ kind: "logql", query: t }, { kind: "traceql", query: t });
  } else if (/^[a-z_]+\s*(by\s*\(|\()|\[\d+[smhd]\]|^[a-z_:][\w:]*\{/i.test(t)) out.push({ kind: "promql", query: t });
  if (t.length >= 2) {
    for (const s of services)
      if (s !== exact && s.toLowerCase().includes(lower) && out.length < 8) out.push({ kind: "service", name: s });
    let n = 0;
    for (const m of metrics) if (m.toLowerCase().includes(lower) && n++ < 4) out.push({ kind: "metric", name: m });
  }
  if (!out.some((i) => i.kind === "logql" || i.kind === "promql"))
    out.push({ kind: "text", ...textOf(t, thrown, services) });
  if (isOneWord(t) && !out.some((i) => i.kind === "id")) out.push({ kind: "id", id: t, what: "as an id" });
  return out;
}

/** What to look for in logs: the message of an exception, else that of the first line. */
function textOf(t: string, thrown: ReturnType<typeof exceptionOf>, services: readonly string[]) {
  if (thrown) return { text: (thrown.message || thrown.type).slice(0, 300) };
  const m = messageOf(t.split(/\n|\s⏎\s/)[0]!, services);
  return { ...m, text: (m.text || t).slice(0, 500) };
}
