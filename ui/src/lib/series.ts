/** Names and colours of series. */
import type { Labels } from "@/api/prom";
import { readStored, writeStored } from "./settings";

export const paletteSize = 8;

/** A token of the series palette: readable by colour-blind people, in either theme. */
export const seriesVar = (i: number) => `var(--series-${(i % paletteSize) + 1})`;

const storeKey = "braid.colors";
const taken = new Map<string, number>(Object.entries(readStored<Record<string, number>>(storeKey, {})));
const maxKept = 500;

/**
 * A service keeps its colour on every page. It comes from its name; when that
 * colour is worn by more services than another, the next free one is taken and
 * remembered, so that neighbours on a page can be told apart.
 */
export function serviceColor(name: string): string {
  let c = taken.get(name);
  if (c === undefined) {
    c = freeColor(name, [...taken.values()]);
    if (taken.size < maxKept) {
      taken.set(name, c);
      writeStored(storeKey, Object.fromEntries(taken));
    }
  }
  return seriesVar(c);
}

/** The colour that a name hashes to, or the next one that fewest others wear. */
export function freeColor(name: string, worn: readonly number[]): number {
  let h = 2166136261;
  for (let i = 0; i < name.length; i++) h = Math.imul(h ^ name.charCodeAt(i), 16777619);
  const first = (h >>> 0) % paletteSize;
  const wearers = new Array<number>(paletteSize).fill(0);
  for (const w of worn) if (w >= 0 && w < paletteSize) wearers[w] = (wearers[w] ?? 0) + 1;
  const least = Math.min(...wearers);
  for (let i = 0; i < paletteSize; i++) {
    const c = (first + i) % paletteSize;
    if (wearers[c] === least) return c;
  }
  return first;
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
