import type { TraceSeries } from "@/api/tempo";
import type { Mark } from "@/parts/chart";

/** The first request of each version that was not there from the start. */
export function deploysOf(series: readonly TraceSeries[], afterMs: number): Mark[] {
  return series
    .flatMap((s) => {
      const version = Object.values(s.labels).find((v) => v && v !== "nil");
      const first = s.points.find((p) => p[1] > 0);
      return version && first && first[0] > afterMs ? [{ ms: first[0], label: version }] : [];
    })
    .sort((a, b) => a.ms - b.ms);
}
