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
  | { kind: "text"; text: string };

/** What the box should offer for a text, best first. */
export function intents(text: string, services: readonly string[], metrics: readonly string[] = []): Intent[] {
  const t = text.trim();
  if (!t) return [];
  const out: Intent[] = [];
  const lower = t.toLowerCase();
  const exact = services.find((s) => s.toLowerCase() === lower);
  if (exact) out.push({ kind: "service", name: exact });
  for (const c of findIds(t)) out.push({ kind: "id", id: c.id, what: c.what });
  if (/^\{.*\}/s.test(t)) {
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
    out.push({ kind: "text", text: t.split("\n")[0]!.slice(0, 500) });
  if (isOneWord(t) && !out.some((i) => i.kind === "id")) out.push({ kind: "id", id: t, what: "as an id" });
  return out;
}
