/** Series with points of their own as columns over one time axis. */
export interface Line {
  name: string;
  /** A CSS colour; var(--…) is resolved when drawn. */
  color: string;
  /** Milliseconds and value, by time. */
  points: readonly (readonly [number, number])[];
  dash?: boolean;
}

export type Columns = [number[], ...(number | null)[][]];

/**
 * One column of times, in seconds, and one of values a series. A hole longer
 * than a step and a half between two points of a series breaks its line.
 */
export function align(lines: readonly Line[], stepMs?: number): Columns {
  const times = new Set<number>();
  for (const l of lines) for (const [t] of l.points) times.add(t);
  if (stepMs) {
    for (const l of lines) {
      for (let i = 1; i < l.points.length; i++) {
        const before = l.points[i - 1]![0];
        if (l.points[i]![0] - before > stepMs * 1.5) times.add(before + stepMs);
      }
    }
  }
  const sorted = [...times].sort((a, b) => a - b);
  const at = new Map(sorted.map((t, i) => [t, i]));
  const columns = lines.map((l) => {
    const col: (number | null)[] = new Array(sorted.length).fill(null);
    for (const [t, v] of l.points) col[at.get(t)!] = Number.isFinite(v) ? v : null;
    return col;
  });
  return [sorted.map((t) => t / 1000), ...columns];
}

const none: ReadonlySet<number> = new Set();

/**
 * Columns as running sums, the last series at the bottom; a hole counts as
 * zero. Series apart stand by themselves: those of the period before are no
 * part of this one's sum.
 */
export function stack(data: Columns, hidden: ReadonlySet<number>, apart: ReadonlySet<number> = none): Columns {
  const sums = new Array<number>(data[0].length).fill(0);
  const out: (number | null)[][] = new Array(data.length - 1);
  for (let s = data.length - 1; s >= 1; s--) {
    const col = data[s] as (number | null)[];
    out[s - 1] = hidden.has(s - 1)
      ? col.map(() => null)
      : apart.has(s - 1)
        ? col
        : col.map((v, i) => {
            sums[i]! += v ?? 0;
            return sums[i]!;
          });
  }
  return [data[0], ...out];
}
