import type { Episode } from "@/api/evidence";

export interface Fired {
  name: string;
  summary: string;
  times: number;
  lastMs: number;
}

/** Alerts that fired and do not fire now, the latest first, each once. */
export function firedBefore(list: readonly Episode[], now: ReadonlySet<string>): Fired[] {
  const by = new Map<string, Fired>();
  for (const e of list) {
    if (now.has(e.name)) continue;
    const at = Date.parse(e.firedAt);
    const old = by.get(e.name);
    const summary = e.annotations?.summary ?? e.annotations?.description ?? "";
    if (!old) by.set(e.name, { name: e.name, summary, times: 1, lastMs: at });
    else by.set(e.name, { ...old, times: old.times + 1, lastMs: Math.max(old.lastMs, at) });
  }
  return [...by.values()].sort((a, b) => b.lastMs - a.lastMs);
}
