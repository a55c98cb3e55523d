/** The requests that an id of many (a user, an order, a session) stands for. */
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { type RequestSummary, requests } from "@/api/native";
import { duration } from "@/lib/format";
import { nsToMs } from "@/lib/time";
import { ErrorNotice } from "@/parts/feedback";
import { Progress, useRun } from "@/parts/progress";
import { RequestLink, Service, StateBadge, Time } from "@/parts/show";
import { type Column, Table } from "@/parts/table";

export const requestColumns: Column<RequestSummary>[] = [
  { id: "time", head: "Time", cell: (r) => <Time ms={nsToMs(r.startNs)} />, sort: (r) => nsToMs(r.startNs) },
  { id: "id", head: "Request", cell: (r) => <RequestLink id={r.requestId || r.traceId || ""} /> },
  { id: "service", head: "Service", cell: (r) => <Service name={r.service ?? ""} />, sort: (r) => r.service ?? "" },
  { id: "route", head: "Route", cell: (r) => <bdi>{(r.route ?? "").slice(0, 160)}</bdi>, sort: (r) => r.route ?? "" },
  {
    id: "status",
    head: "Status",
    cell: (r) => <StateBadge state={r.error ? "error" : r.status || "ok"} />,
    sort: (r) => `${r.error ? 0 : 1}${r.status}`,
  },
  { id: "spans", head: "Spans", num: true, cell: (r) => r.spans ?? "", sort: (r) => r.spans ?? 0 },
  {
    id: "duration",
    head: "Duration",
    num: true,
    cell: (r) => duration(Number(r.durationNs ?? 0)),
    sort: (r) => Number(r.durationNs ?? 0),
  },
];

export function RequestList({ id, first }: { id: string; first: readonly RequestSummary[] }) {
  const [chosen, setChosen] = useState<Record<string, string>>({});
  const key = ["requests", id];
  const q = useQuery({ queryKey: key, queryFn: ({ signal }) => requests(id, "-start", 5000, signal) });
  const run = useRun({ key, q });
  const all = q.data?.requests ?? first;
  const fieldOf: Record<string, (r: RequestSummary) => string> = {
    service: (r) => r.service ?? "",
    route: (r) => r.route ?? "",
    status: (r) => r.status ?? "",
    error: (r) => String(r.error ?? false),
  };
  const rows = all.filter((r) => Object.entries(chosen).every(([f, v]) => fieldOf[f]?.(r) === v));
  return (
    <div className="col grow" style={{ minHeight: 0, paddingTop: 8 }}>
      <Progress run={run} />
      <ErrorNotice error={q.error} retry={() => void q.refetch()} />
      <div className="row wrap">
        {(q.data?.facets ?? []).map((f) => (
          <label key={f.field} className="check small">
            <span className="muted">{f.field}</span>
            <select
              className="select"
              value={chosen[f.field ?? ""] ?? ""}
              onChange={(e) => {
                const { [f.field ?? ""]: _, ...rest } = chosen;
                setChosen(e.target.value ? { ...rest, [f.field ?? ""]: e.target.value } : rest);
              }}
            >
              <option value="">all</option>
              {f.values?.map((v) => (
                <option key={v.value} value={v.value}>
                  {v.value || "(none)"} · {v.count}
                </option>
              ))}
            </select>
          </label>
        ))}
      </div>
      <div className="panel scroll grow">
        <Table
          label="Requests"
          columns={requestColumns}
          rows={rows}
          rowKey={(r, i) => `${r.traceId}/${i}`}
          initial={{ id: "time", desc: true }}
        />
      </div>
    </div>
  );
}
