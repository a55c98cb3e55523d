/** The requests behind a point of a chart. */
import { useQuery } from "@tanstack/react-query";
import { StickyNote } from "lucide-react";
import { useState } from "react";
import { requestsBehind } from "@/api/native";
import { duration, durationMs, plural } from "@/lib/format";
import { msToNs, nsToMs } from "@/lib/time";
import { Empty, ErrorNotice, Warnings } from "@/parts/feedback";
import { NoteForm } from "@/parts/notes";
import { Dialog } from "@/parts/overlay";
import { Progress, useRun } from "@/parts/progress";
import { RequestLink, Service, StateBadge, Time } from "@/parts/show";
import { Table } from "@/parts/table";
import { A, href } from "@/shell/url";

export interface BehindPoint {
  ms: number;
  stepMs: number;
  name: string;
  selector: string;
  service: string;
}

export function Behind({ point, onClose }: { point: BehindPoint | undefined; onClose: () => void }) {
  return (
    <Dialog title="Requests behind this point" open={point !== undefined} onClose={onClose} wide>
      {point && <List point={point} />}
    </Dialog>
  );
}

function List({ point }: { point: BehindPoint }) {
  const [writing, setWriting] = useState(false);
  const half = Math.max(point.stepMs, 30_000);
  const key = ["behind", point.selector, point.ms];
  const q = useQuery({
    queryKey: key,
    queryFn: ({ signal }) =>
      requestsBehind(
        { promql: point.selector, startNs: msToNs(point.ms - half), endNs: msToNs(point.ms + half), limit: 100 },
        signal,
      ),
  });
  const run = useRun({ key, q });
  const rows = q.data?.requests ?? [];
  return (
    <div className="col">
      <div className="row wrap">
        <p className="muted grow">
          <bdi className="mono">{point.selector}</bdi> around <Time ms={point.ms} />
        </p>
        <A
          className="btn small"
          to={href("/explore/logs", {
            from: String(point.ms - half),
            to: String(point.ms + half),
            ...(point.service ? { q: `{service_name=${JSON.stringify(point.service)}}` } : {}),
          })}
        >
          Logs of this moment
        </A>
        <button type="button" className="btn small" aria-pressed={writing} onClick={() => setWriting(!writing)}>
          <StickyNote size={12} /> Note
        </button>
      </div>
      {writing && <NoteForm first={{ text: "", fromMs: point.ms }} onDone={() => setWriting(false)} />}
      <Progress run={run} />
      <ErrorNotice error={q.error} retry={() => void q.refetch()} />
      <Warnings list={q.data?.warnings} />
      {q.isSuccess && rows.length === 0 && (
        <Empty title="No request is known for this point">
          The series has no exemplar here, and its labels lead to no span and no log record of this moment.
        </Empty>
      )}
      {rows.length > 0 && (
        <>
          <p className="small muted">
            {plural(rows.length, "request")}, found by {q.data?.source || "exemplars"}
            {run.ms > 0 && ` in ${durationMs(run.ms)}`}
          </p>
          <Table
            label="Requests"
            rows={rows}
            rowKey={(r, i) => `${r.request?.traceId}/${i}`}
            initial={{ id: "value", desc: true }}
            columns={[
              {
                id: "time",
                head: "Time",
                cell: (r) => <Time ms={nsToMs(r.request?.startNs)} />,
                sort: (r) => nsToMs(r.request?.startNs),
              },
              {
                id: "id",
                head: "Request",
                cell: (r) => <RequestLink id={r.request?.traceId || r.request?.requestId || ""} />,
              },
              {
                id: "service",
                head: "Service",
                cell: (r) => <Service name={r.request?.service ?? ""} />,
                sort: (r) => r.request?.service ?? "",
              },
              {
                id: "route",
                head: "Route",
                cell: (r) => <bdi>{(r.request?.route ?? "").slice(0, 120)}</bdi>,
                sort: (r) => r.request?.route ?? "",
              },
              {
                id: "why",
                head: "Why",
                cell: (r) => <span className="badge">{r.reason}</span>,
                sort: (r) => r.reason ?? "",
              },
              {
                id: "status",
                head: "Status",
                cell: (r) => <StateBadge state={r.request?.error ? "error" : r.request?.status || "ok"} />,
                sort: (r) => (r.request?.error ? 1 : 0),
              },
              {
                id: "value",
                head: "Value",
                num: true,
                cell: (r) => duration((r.value ?? 0) * 1e9),
                sort: (r) => r.value ?? 0,
              },
            ]}
          />
        </>
      )}
    </div>
  );
}
