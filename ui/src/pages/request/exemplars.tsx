/** What the request measured: its exemplars, each one step from its series. */
import type { Exemplar } from "@/api/generated";
import { byUnit, guessUnit } from "@/lib/format";
import { seriesName } from "@/lib/series";
import { nsToMs } from "@/lib/time";
import { Empty } from "@/parts/feedback";
import { Time } from "@/parts/show";
import { Table } from "@/parts/table";
import { A, href } from "@/shell/url";

export function ExemplarTable({ list }: { list: readonly Exemplar[] }) {
  if (list.length === 0)
    return (
      <Empty title="No exemplar names this request">
        Metrics show their requests when the SDK records exemplars: set OTEL_METRICS_EXEMPLAR_FILTER=trace_based.
      </Empty>
    );
  return (
    <div className="panel scroll grow" style={{ marginTop: 8 }}>
      <Table
        label="Exemplars"
        rows={list}
        rowKey={(_, i) => String(i)}
        columns={[
          { id: "time", head: "Time", cell: (e) => <Time ms={nsToMs(e.timeNs)} />, sort: (e) => nsToMs(e.timeNs) },
          {
            id: "series",
            head: "Series",
            cell: (e) => {
              const ms = nsToMs(e.timeNs);
              const around = { from: String(Math.round(ms - 900_000)), to: String(Math.round(ms + 900_000)) };
              return (
                <A className="mono" to={href("/explore/metrics", { ...around, q: seriesName(e.series ?? {}) })}>
                  <bdi>{seriesName(e.series ?? {})}</bdi>
                </A>
              );
            },
            sort: (e) => seriesName(e.series ?? {}),
          },
          {
            id: "value",
            head: "Value",
            num: true,
            cell: (e) => byUnit(e.value ?? 0, guessUnit(e.series?.__name__ ?? "")),
            sort: (e) => e.value ?? 0,
          },
        ]}
      />
    </div>
  );
}
