/**
 * The shape of a request: spans as a forest, logs at their moment among them,
 * flattened to the rows that a virtual list shows. Everything is linear in the
 * number of spans and nothing recurses: a trace may be 100,000 spans deep.
 */
import type { Log, Span } from "@/api/generated";

export interface Node {
  span: Span;
  index: number;
  /** Nanoseconds since the first moment of the request. */
  start: number;
  duration: number;
  end: number;
  parent: number;
  children: number[];
  logs: number[];
  depth: number;
  critical: boolean;
  error: boolean;
  service: string;
}

export interface LogNode {
  log: Log;
  index: number;
  at: number;
}

export interface Forest {
  nodes: Node[];
  logs: LogNode[];
  roots: number[];
  /** Logs that name no span that is here. */
  loose: number[];
  /** Unix nanoseconds of offset 0. */
  base: bigint;
  /** Nanoseconds from the first start to the last end. */
  total: number;
}

const big = (s: string | undefined): bigint => {
  try {
    return BigInt(s || "0");
  } catch {
    return 0n;
  }
};

export const isError = (s: Span) => /error/i.test(s.status ?? "");

export function buildForest(spans: readonly Span[], logs: readonly Log[]): Forest {
  let base: bigint | undefined;
  for (const s of spans) {
    const t = big(s.startNs);
    if (base === undefined || t < base) base = t;
  }
  for (const l of logs) {
    const t = big(l.timeNs);
    if (t > 0n && (base === undefined || t < base)) base = t;
  }
  const zero = base ?? 0n;
  const byId = new Map<string, number>();
  const key = (trace: string | undefined, span: string | undefined) => `${trace}/${span}`;
  const nodes: Node[] = spans.map((span, index) => {
    const start = Number(big(span.startNs) - zero);
    const duration = Number(big(span.durationNs));
    const k = key(span.traceId, span.spanId);
    if (!byId.has(k)) byId.set(k, index);
    return {
      span,
      index,
      start,
      duration,
      end: start + duration,
      parent: -1,
      children: [],
      logs: [],
      depth: 0,
      critical: span.critical ?? false,
      error: isError(span),
      service: span.service || "unknown",
    };
  });
  for (const n of nodes) {
    if (!n.span.parentId || /^0*$/.test(n.span.parentId)) continue;
    const p = byId.get(key(n.span.traceId, n.span.parentId));
    if (p !== undefined && p !== n.index) n.parent = p;
  }
  breakCycles(nodes);
  const roots: number[] = [];
  for (const n of nodes) (n.parent < 0 ? roots : nodes[n.parent]!.children).push(n.index);
  const byStart = (a: number, b: number) => nodes[a]!.start - nodes[b]!.start || a - b;
  roots.sort(byStart);
  for (const n of nodes) if (n.children.length > 1) n.children.sort(byStart);
  setDepths(nodes, roots);

  const loose: number[] = [];
  const logNodes = logs.map((log, index): LogNode => {
    const t = big(log.timeNs);
    const at = t > 0n ? Number(t - zero) : 0;
    const owner = log.spanId ? byId.get(key(log.traceId, log.spanId)) : undefined;
    (owner === undefined ? loose : nodes[owner]!.logs).push(index);
    return { log, index, at };
  });
  const byTime = (a: number, b: number) => logNodes[a]!.at - logNodes[b]!.at || a - b;
  loose.sort(byTime);
  for (const n of nodes) if (n.logs.length > 1) n.logs.sort(byTime);
  let total = 0;
  for (const n of nodes) total = Math.max(total, n.end);
  for (const l of logNodes) total = Math.max(total, l.at);
  const forest = { nodes, logs: logNodes, roots, loose, base: zero, total };
  if (!nodes.some((n) => n.critical)) markCritical(forest);
  return forest;
}

/** A parent chain that returns to itself is cut where it was entered. */
function breakCycles(nodes: Node[]) {
  const state = new Uint8Array(nodes.length); // 0 new, 1 on the current chain, 2 done
  for (let i = 0; i < nodes.length; i++) {
    const chain: number[] = [];
    let j = i;
    while (j >= 0 && state[j] === 0) {
      state[j] = 1;
      chain.push(j);
      j = nodes[j]!.parent;
    }
    if (j >= 0 && state[j] === 1) nodes[j]!.parent = -1;
    for (const c of chain) state[c] = 2;
  }
}

function setDepths(nodes: Node[], roots: number[]) {
  const stack = [...roots];
  while (stack.length) {
    const n = nodes[stack.pop()!]!;
    for (const c of n.children) {
      nodes[c]!.depth = n.depth + 1;
      stack.push(c);
    }
  }
}

/**
 * Marks the spans that the end of the request waited for: from the end of a
 * span backwards, the child that ended last, then the one that ended before
 * that child began, and so on.
 */
export function markCritical(f: Forest) {
  let longest = -1;
  for (const r of f.roots) if (longest < 0 || f.nodes[r]!.duration > f.nodes[longest]!.duration) longest = r;
  if (longest < 0) return;
  const stack = [longest];
  while (stack.length) {
    const n = f.nodes[stack.pop()!]!;
    n.critical = true;
    const byEnd = [...n.children].sort((a, b) => f.nodes[b]!.end - f.nodes[a]!.end);
    let before = n.end;
    for (const c of byEnd) {
      const child = f.nodes[c]!;
      if (child.end > before || child.start >= n.end) continue;
      stack.push(c);
      before = child.start;
    }
  }
}

/** How much of the critical path each service spent itself, the most first. */
export function criticalShares(f: Forest): { service: string; ns: number }[] {
  const by = new Map<string, number>();
  for (const n of f.nodes) {
    if (!n.critical) continue;
    // Children on the path do not overlap one another: what they cover is not the span's own.
    let own = n.duration;
    for (const c of n.children) {
      const k = f.nodes[c]!;
      if (k.critical) own -= Math.max(0, Math.min(k.end, n.end) - Math.max(k.start, n.start));
    }
    if (own > 0) by.set(n.service, (by.get(n.service) ?? 0) + own);
  }
  return [...by].map(([service, ns]) => ({ service, ns })).sort((a, b) => b.ns - a.ns);
}

export type Row =
  | { kind: "span"; id: string; depth: number; node: number; open: boolean; hidden: number }
  | { kind: "group"; id: string; depth: number; members: number[]; open: boolean }
  | { kind: "log"; id: string; depth: number; log: number };

export interface RowOptions {
  /** Spans closed and groups opened by the user. */
  closed: ReadonlySet<string>;
  opened: ReadonlySet<string>;
  showLogs: boolean;
  /** At least so many siblings of one service and name become one row; 0 never. */
  groupFrom: number;
  /** Only these spans and their ancestors. */
  only?: ReadonlySet<number> | undefined;
}

type Work =
  | { span: number; depth: number }
  | { log: number; depth: number }
  | { group: number[]; depth: number; parent: string };

/** The rows to show, top to bottom. */
export function buildRows(f: Forest, o: RowOptions): Row[] {
  const rows: Row[] = [];
  const keep = o.only ? withAncestors(f, o.only) : undefined;
  const stack: Work[] = [];
  pushChildren(stack, f, f.roots, o.showLogs ? f.loose : [], 0, "root", o, keep);
  while (stack.length) {
    const w = stack.pop()!;
    if ("log" in w) {
      rows.push({ kind: "log", id: `l${w.log}`, depth: w.depth, log: w.log });
    } else if ("group" in w) {
      const id = `g${w.parent}/${w.group[0]}`;
      const open = o.opened.has(id);
      rows.push({ kind: "group", id, depth: w.depth, members: w.group, open });
      if (open) for (let i = w.group.length - 1; i >= 0; i--) stack.push({ span: w.group[i]!, depth: w.depth + 1 });
    } else {
      const n = f.nodes[w.span]!;
      const id = `s${w.span}`;
      const open = !o.closed.has(id);
      const logs = o.showLogs ? n.logs : [];
      rows.push({ kind: "span", id, depth: w.depth, node: w.span, open, hidden: n.children.length + logs.length });
      if (open) pushChildren(stack, f, n.children, logs, w.depth + 1, id, o, keep);
    }
  }
  return rows;
}

/** Pushes what is inside one span so that it pops in order of time. */
function pushChildren(
  stack: Work[],
  f: Forest,
  children: number[],
  logs: number[],
  depth: number,
  parent: string,
  o: RowOptions,
  keep: ReadonlySet<number> | undefined,
) {
  const spans = keep ? children.filter((c) => keep.has(c)) : children;
  const items: { at: number; work: Work }[] = [];
  for (const part of o.groupFrom > 0 && !keep ? similar(f, spans, o.groupFrom) : spans.map((s) => [s])) {
    const at = f.nodes[part[0]!]!.start;
    items.push({ at, work: part.length > 1 ? { group: part, depth, parent } : { span: part[0]!, depth } });
  }
  if (!keep) for (const l of logs) items.push({ at: f.logs[l]!.at, work: { log: l, depth } });
  items.sort((a, b) => a.at - b.at);
  for (let i = items.length - 1; i >= 0; i--) stack.push(items[i]!.work);
}

/** Siblings of one service and name, when there are many of them, as one part; failed ones stay on their own. */
function similar(f: Forest, spans: number[], from: number): number[][] {
  if (spans.length < from) return spans.map((s) => [s]);
  const byName = new Map<string, number[]>();
  const out: number[][] = [];
  for (const s of spans) {
    const n = f.nodes[s]!;
    if (n.error) {
      out.push([s]);
      continue;
    }
    const k = `${n.service}\0${n.span.name}`;
    const list = byName.get(k);
    if (list) list.push(s);
    else byName.set(k, [s]);
  }
  for (const list of byName.values()) {
    if (list.length >= from) out.push(list);
    else for (const s of list) out.push([s]);
  }
  return out;
}

function withAncestors(f: Forest, only: ReadonlySet<number>): Set<number> {
  const keep = new Set<number>();
  for (const i of only) {
    let j = i;
    while (j >= 0 && !keep.has(j)) {
      keep.add(j);
      j = f.nodes[j]!.parent;
    }
  }
  return keep;
}

/** The spans whose name, service, attributes or status message hold a text. */
export function findSpans(f: Forest, text: string): Set<number> {
  const t = text.trim().toLowerCase();
  const out = new Set<number>();
  if (!t) return out;
  for (const n of f.nodes) {
    const s = n.span;
    const hit =
      (s.name ?? "").toLowerCase().includes(t) ||
      n.service.toLowerCase().includes(t) ||
      (s.spanId ?? "").startsWith(t) ||
      (s.statusMessage ?? "").toLowerCase().includes(t) ||
      (s.attributes ?? []).some((a) => `${a.key}=${a.value}`.toLowerCase().includes(t));
    if (hit) out.add(n.index);
  }
  return out;
}

/** Time of a span that none of its children covers. */
export function selfTime(f: Forest, i: number): number {
  const n = f.nodes[i]!;
  if (n.span.selfNs !== undefined) return Number(n.span.selfNs);
  let covered = 0;
  let until = n.start;
  for (const c of n.children) {
    const ch = f.nodes[c]!;
    const from = Math.max(ch.start, until);
    const to = Math.min(ch.end, n.end);
    if (to > from) {
      covered += to - from;
      until = to;
    }
  }
  return Math.max(0, n.duration - covered);
}

const secondsAndMore = [10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10_800, 21_600, 43_200].map(
  (s) => s * 1e9,
);

/** Round marks along a span of time, nanoseconds: at most `most` of them. */
export function ticks(total: number, most: number): number[] {
  if (!(total > 0)) return [0];
  const rough = total / Math.max(1, most);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step =
    rough > 5e9
      ? (secondsAndMore.find((s) => s >= rough) ?? Math.ceil(rough / 86_400e9) * 86_400e9)
      : ([1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough) ?? power * 10);
  const out: number[] = [];
  for (let t = 0; t <= total * 1.0001; t += step) out.push(t);
  return out;
}
