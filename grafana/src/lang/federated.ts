import type { Shown } from "./lexer";

/** A named query of a federated text. */
export interface Named {
  name: string;
  signal: string;
  query: string;
}

/** What the builder of federated queries shows. */
export interface FederatedModel {
  named: Named[];
  from: string;
  /** The kind of id that rows stand for; empty: that of the joins. */
  by: string;
  joins: Array<{ kind: "semi" | "anti"; name: string; on: string }>;
  /** The steps after the joins, one a line, as written. */
  steps: string[];
}

export const federatedSignals = ["traces", "logs", "exemplars"];
export const idKinds = ["trace", "request", "session", "user"];

export function renderFederated(m: FederatedModel): string {
  const width = Math.max(0, ...m.named.map((n) => n.name.length));
  const lines = m.named.map((n) => `${n.name.padEnd(width)} = ${n.signal} ${n.query}`);
  lines.push(`from ${m.from}${m.by ? ` by ${m.by}` : ""}`);
  lines.push(...m.joins.map((j) => `${j.kind} join ${j.name} on ${j.on}`));
  lines.push(...m.steps.filter((s) => s.trim() !== ""));
  return lines.join("\n");
}

const named = /^([A-Za-z_]\w*)\s*=\s*(traces|logs|exemplars)\s+(.+)$/;
const from = /^from\s+([A-Za-z_]\w*)(?:\s+by\s+([\w.]+))?\s*(.*)$/;
const join = /^\|?\s*(semi|anti)\s+join\s+([A-Za-z_]\w*)\s+on\s+([\w.]+)\s*(.*)$/;

/** The model of a text whose named queries are a line each. */
export function parseFederated(text: string): Shown<FederatedModel> {
  const m: FederatedModel = { named: [], from: "", by: "", joins: [], steps: [] };
  if (text.trim() === "") {
    return { model: { ...m, named: [{ name: "a", signal: "traces", query: "{ }" }], from: "a" } };
  }
  for (let line of text.split(/\n|;(?=(?:[^"`]*["`][^"`]*["`])*[^"`]*$)/).map((l) => l.trim())) {
    if (line === "") {
      continue;
    }
    if (line.startsWith("#")) {
      return { reason: "comments are more than the builder shows" };
    }
    const query = m.from === "" ? named.exec(line) : null;
    if (query) {
      m.named.push({ name: query[1] as string, signal: query[2] as string, query: (query[3] as string).trim() });
      continue;
    }
    if (m.from === "") {
      const f = from.exec(line);
      if (!f) {
        return { reason: `"${line}" is more than the builder shows` };
      }
      m.from = f[1] as string;
      m.by = f[2] ?? "";
      line = f[3] ?? "";
    }
    for (let j = join.exec(line); j && m.steps.length === 0; j = join.exec(line)) {
      m.joins.push({ kind: j[1] as "semi" | "anti", name: j[2] as string, on: j[3] as string });
      line = j[4] ?? "";
    }
    if (line !== "") {
      m.steps.push(line);
    }
  }
  return m.from === "" ? { reason: "there is no `from`" } : { model: m };
}

export function explainFederated(m: FederatedModel): string[] {
  const out = m.named.map((n) => `Ask ${n.signal} for ${n.query}, and call it ${n.name}.`);
  out.push(`Make a row for each ${m.by || m.joins[0]?.on || "trace"} id in ${m.from}.`);
  for (const j of m.joins) {
    out.push(
      j.kind === "semi"
        ? `Keep rows whose ${j.on} id is in ${j.name} too.`
        : `Keep rows whose ${j.on} id is not in ${j.name}.`,
    );
  }
  out.push(...m.steps.map((s) => `Then: ${s.replace(/^\|\s*/, "")}.`));
  return out;
}
