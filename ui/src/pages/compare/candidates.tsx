/** Requests of the same kind to compare with: nobody has a second id at hand. */
import { useQuery } from "@tanstack/react-query";
import { searchTraces, type TraceSummary } from "@/api/tempo";
import { durationMs } from "@/lib/format";
import { nsToMs } from "@/lib/time";
import type { Forest } from "@/lib/waterfall";
import { ErrorNotice } from "@/parts/feedback";

export interface Candidate {
  what: string;
  trace: TraceSummary;
}

const failed = (t: TraceSummary) => Object.values(t.serviceStats ?? {}).some((s) => (s.errorCount ?? 0) > 0);

/** A typical, a fast, a slow and a failed one of the found, none twice. */
export function pickCandidates(found: readonly TraceSummary[], not: readonly string[]): Candidate[] {
  const left = found.filter((t) => !not.includes(t.traceID));
  const ms = (t: TraceSummary) => t.durationMs ?? 0;
  const good = left.filter((t) => !failed(t)).sort((a, b) => ms(a) - ms(b));
  const bad = left.filter(failed).sort((a, b) => ms(a) - ms(b));
  const out: Candidate[] = [];
  const add = (what: string, trace: TraceSummary | undefined) => {
    if (trace && !out.some((c) => c.trace.traceID === trace.traceID)) out.push({ what, trace });
  };
  add("typical", good[Math.floor(good.length / 2)]);
  add("fastest", good[0]);
  add("slowest", good.at(-1));
  add("failed", bad[Math.floor(bad.length / 2)]);
  return out;
}

const around = 3_600_000;

export function Candidates({ of, not, onPick }: { of: Forest; not: readonly string[]; onPick: (id: string) => void }) {
  const root = of.nodes[of.roots[0] ?? 0];
  const at = nsToMs(String(of.base));
  const query = `{ rootServiceName = ${JSON.stringify(root?.service ?? "")} && rootName = ${JSON.stringify(root?.span.name ?? "")} }`;
  const q = useQuery({
    queryKey: ["candidates", query, at],
    queryFn: ({ signal }) => searchTraces(query, { fromMs: at - around, toMs: at + around }, 200, signal),
    enabled: Boolean(root),
    staleTime: 60_000,
  });
  const list = pickCandidates(q.data?.traces ?? [], not);
  return (
    <div className="row wrap small">
      <ErrorNotice error={q.error} />
      {q.isPending && <span className="muted">Looking for requests of the same kind</span>}
      {list.length > 0 && <span className="muted">The same request, within an hour:</span>}
      {list.map((c) => (
        <button
          key={c.trace.traceID}
          type="button"
          className="btn small"
          title={c.trace.traceID}
          onClick={() => onPick(c.trace.traceID)}
        >
          {c.what} <span className="muted num">{durationMs(c.trace.durationMs ?? 0)}</span>
        </button>
      ))}
      {q.isSuccess && list.length === 0 && (
        <span className="muted">No other request of this kind within an hour of it.</span>
      )}
    </div>
  );
}
