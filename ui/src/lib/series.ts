/** Names and colours of series. */
import type { Labels } from "@/api/prom";

export const paletteSize = 8;

/** A token of the series palette: readable by colour-blind people, in either theme. */
export const seriesVar = (i: number) => `var(--series-${(i % paletteSize) + 1})`;

const hashes = new Map<string, number>();

/** A service keeps its colour on every page: it comes from its name. */
export function serviceColor(name: string): string {
  let h = hashes.get(name);
  if (h === undefined) {
    h = 2166136261;
    for (let i = 0; i < name.length; i++) h = Math.imul(h ^ name.charCodeAt(i), 16777619);
    h = (h >>> 0) % paletteSize;
    if (hashes.size < 5000) hashes.set(name, h);
  }
  return seriesVar(h);
}

export function seriesName(labels: Labels, legend?: string): string {
  if (legend) return legend.replace(/\{\{\s*([\w.]+)\s*\}\}/g, (_, k: string) => labels[k] ?? "");
  const { __name__: name, ...rest } = labels;
  const parts = Object.entries(rest).map(([k, v]) => `${k}="${v}"`);
  if (parts.length === 0) return name ?? "value";
  return `${name ?? ""}{${parts.join(", ")}}`;
}

/** The labels in which the series of one answer differ: what a legend needs to say. */
export function distinguishing(all: readonly Labels[]): string[] {
  const keys = new Set<string>();
  for (const l of all) for (const k of Object.keys(l)) keys.add(k);
  return [...keys].filter((k) => k !== "__name__" && new Set(all.map((l) => l[k])).size > 1);
}

export function shortName(labels: Labels, keys: readonly string[]): string {
  if (keys.length === 0) return seriesName(labels);
  return keys.map((k) => labels[k] ?? "–").join(" · ");
}
