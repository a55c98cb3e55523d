/** Where exemplars stand on a chart. */
import type { Dot } from "@/parts/chart";
import type { Line } from "@/parts/align";

/**
 * A quantile in seconds and an exemplar in seconds share a scale. A rate and an
 * exemplar's latency do not: such a dot stands on the nearest line at its
 * moment, and says its own value when asked.
 */
export function toDots(dots: readonly Dot[], lines: readonly Line[], unit: string | undefined, most = 250): Dot[] {
  const sameScale = unit === "s" || unit === "ms" || unit === "By";
  const newest = spread(dots, most);
  if (sameScale || lines.length === 0) return newest;
  return newest.flatMap((d) => {
    const y = valueAt(lines[0]!, d.ms);
    return y === undefined ? [] : [{ ...d, value: y, labels: { value: String(d.value), ...d.labels } }];
  });
}

/** The value of the last point at or before a moment. */
export function valueAt(l: Line, ms: number): number | undefined {
  let lo = 0;
  let hi = l.points.length - 1;
  let found: number | undefined;
  while (lo <= hi) {
    const mid = (lo + hi) >> 1;
    if (l.points[mid]![0] <= ms) {
      found = l.points[mid]![1];
      lo = mid + 1;
    } else hi = mid - 1;
  }
  return found;
}

/** At most so many dots, spread over the time that they cover: the greatest of each moment, then the least. */
export function spread(dots: readonly Dot[], most: number): Dot[] {
  if (dots.length <= most) return [...dots];
  const from = dots.reduce((n, d) => Math.min(n, d.ms), Number.POSITIVE_INFINITY);
  const to = dots.reduce((n, d) => Math.max(n, d.ms), 0);
  const slots = Math.max(1, Math.floor(most / 2));
  const high = new Map<number, Dot>();
  const low = new Map<number, Dot>();
  for (const d of dots) {
    const slot = Math.min(slots - 1, Math.floor(((d.ms - from) / Math.max(1, to - from)) * slots));
    const h = high.get(slot);
    if (!h || d.value > h.value) high.set(slot, d);
    const l = low.get(slot);
    if (!l || d.value < l.value) low.set(slot, d);
  }
  return [...new Set([...high.values(), ...low.values()])];
}
