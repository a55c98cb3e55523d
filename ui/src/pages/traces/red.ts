/** Rate, errors and duration of spans by the values of one field, over a whole range. */
import { useQuery } from "@tanstack/react-query";
import { type InstantTrace, traceInstant } from "@/api/tempo";
import { addCondition, fieldName } from "@/lib/traceql";
import { sumSpent } from "@/lib/format";
import { useRun } from "@/parts/progress";
import { useRange } from "@/shell/range";

export interface Red {
  value: string;
  /** Spans a second. */
  rate: number;
  /** Failed ones as a share of all. */
  failed: number;
  /** Seconds. */
  p50: number;
  p95: number;
  p99: number;
}

/** Joins three answers by the value of their field; spans without the field are one row, "nil". */
export function joinRed(
  field: string,
  rate: readonly InstantTrace[],
  errors: readonly InstantTrace[],
  quantiles: readonly InstantTrace[],
): Red[] {
  const nameOf = (s: InstantTrace) => s.labels[field] ?? Object.entries(s.labels).find(([k]) => k !== "p")?.[1] ?? "";
  const failed = new Map(errors.map((s) => [nameOf(s), s.value]));
  const at = new Map<string, Record<string, number>>();
  for (const s of quantiles) {
    const v = nameOf(s);
    at.set(v, { ...at.get(v), [s.labels.p ?? ""]: s.value });
  }
  return rate
    .filter((s) => s.value > 0)
    .map((s) => {
      const value = nameOf(s);
      const q = at.get(value) ?? {};
      return {
        value,
        rate: s.value,
        failed: Math.min(1, (failed.get(value) ?? 0) / s.value),
        p50: q["0.5"] ?? Number.NaN,
        p95: q["0.95"] ?? Number.NaN,
        p99: q["0.99"] ?? Number.NaN,
      };
    });
}

/** Asks for the rows of a span filter, such as `{ kind = server }`, by a field. */
export function useRed(filter: string, by: string) {
  const { range } = useRange();
  const field = fieldName(by);
  const key = ["red", filter, field, range.fromMs, range.toMs];
  const q = useQuery({
    queryKey: key,
    queryFn: async ({ signal }) => {
      const ask = (f: string, fn: string) => traceInstant(`${f} | ${fn} by (${field})`, range, signal);
      const [rate, errors, quantiles] = await Promise.all([
        ask(filter, "rate()"),
        ask(addCondition(filter, "status = error"), "rate()"),
        ask(filter, "quantile_over_time(duration, 0.5, 0.95, 0.99)"),
      ]);
      return {
        rows: joinRed(by, rate.series, errors.series, quantiles.series),
        spent: sumSpent([rate.spent, errors.spent, quantiles.spent]),
      };
    },
    // Rows of another field are not kept: their values would stand as values of this one, links and all.
    placeholderData: (before, q) => (q?.queryKey[2] === field ? before : undefined),
  });
  return { q, run: useRun({ key, q }) };
}
