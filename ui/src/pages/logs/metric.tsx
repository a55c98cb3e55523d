/** A LogQL query for numbers, as a chart. */
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { queryLogMetric } from "@/api/loki";
import { distinguishing, seriesVar, shortName } from "@/lib/series";
import { chooseStep } from "@/lib/time";
import { durationMs, plural } from "@/lib/format";
import { TimeChart } from "@/parts/chart";
import { Empty, ErrorNotice, Loading, Warnings } from "@/parts/feedback";
import { Legend } from "@/parts/legend";
import { useRange } from "@/shell/range";

export function LogMetric({ query }: { query: string }) {
  const { range, zoomTo } = useRange();
  const step = chooseStep(range, 240);
  const [hidden, setHidden] = useState<ReadonlySet<number>>(new Set());
  const q = useQuery({
    queryKey: ["log-metric", query, range.fromMs, range.toMs],
    queryFn: ({ signal }) => queryLogMetric(query, range, step, signal),
    placeholderData: keepPreviousData,
  });
  const lines = useMemo(() => {
    const data = q.data?.data ?? [];
    const keys = distinguishing(data.map((s) => s.metric));
    return data.map((s, i) => ({
      name: shortName(s.metric, keys),
      color: seriesVar(i),
      points: (s.values ?? []).map(([t, v]) => [t * 1000, Number(v)] as const),
    }));
  }, [q.data]);
  return (
    <section className="panel">
      <Loading on={q.isFetching} />
      <ErrorNotice error={q.error} retry={() => void q.refetch()} />
      <Warnings list={q.data?.warnings} />
      {q.isSuccess && lines.length === 0 ? (
        <Empty title="No series in this range">
          No record matched, or none had the field that the query counts by.
        </Empty>
      ) : (
        <div className="body">
          <TimeChart
            label={query}
            lines={lines}
            range={range}
            stepMs={step * 1000}
            hidden={hidden}
            onZoom={zoomTo}
            height={320}
          />
          <div className="cost">
            {plural(lines.length, "series", "series")}, step {step} s{q.data && `, ${durationMs(q.data.ms)}`}
          </div>
          <Legend lines={lines} hidden={hidden} onHidden={setHidden} />
        </div>
      )}
    </section>
  );
}
