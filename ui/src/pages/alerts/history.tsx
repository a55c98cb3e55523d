/** Every time that an alert fired in the range, with what was kept of it. */
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { alertHistory, type Episode } from "@/api/evidence";
import { duration } from "@/lib/format";
import { Empty, ErrorNotice, Loading } from "@/parts/feedback";
import { StateBadge, Time } from "@/parts/show";
import { useRange } from "@/shell/range";
import { useParams } from "@/shell/url";
import { EvidenceOf } from "./evidence";

export function AlertHistory() {
  const { range, nowMs } = useRange();
  const [params, setParams] = useParams();
  const q = useQuery({
    queryKey: ["alert-history", params.alert, params.fingerprint, range.fromMs, range.toMs],
    queryFn: ({ signal }) =>
      alertHistory(
        { name: params.alert, fingerprint: params.fingerprint, startMs: range.fromMs, endMs: range.toMs, limit: 500 },
        signal,
      ),
    placeholderData: keepPreviousData,
  });
  const list = q.data ?? [];
  return (
    <div className="col" style={{ paddingTop: 10 }}>
      {(params.alert ?? params.fingerprint) && (
        <p>
          <button
            type="button"
            className="chip"
            onClick={() => setParams({ alert: undefined, fingerprint: undefined })}
          >
            only {params.alert ?? params.fingerprint} ×
          </button>
        </p>
      )}
      <Loading on={q.isFetching} />
      <ErrorNotice error={q.error} retry={() => void q.refetch()} />
      {q.isSuccess && list.length === 0 && (
        <Empty title="No alert fired in this range">Widen the time range above to see what fired before.</Empty>
      )}
      {list.map((e, i) => (
        <Row
          key={`${e.fingerprint}/${e.firedAt}`}
          e={e}
          nowMs={nowMs}
          // Who asks for one alert wants to see why it fired.
          first={i === 0 && Boolean(params.alert ?? params.fingerprint)}
        />
      ))}
    </div>
  );
}

function Row({ e, nowMs, first }: { e: Episode; nowMs: number; first: boolean }) {
  const [open, setOpen] = useState(first);
  const { alertname: _, ...labels } = e.labels;
  const fired = Date.parse(e.firedAt);
  const ended = e.resolvedAt ? Date.parse(e.resolvedAt) : nowMs;
  return (
    <section className="panel">
      <header style={{ borderBottom: open ? undefined : 0 }}>
        <StateBadge state={e.state ?? "resolved"} />
        <button type="button" className="value row" aria-expanded={open} onClick={() => setOpen(!open)}>
          <span aria-hidden>{open ? "▾" : "▸"}</span>
          <b>
            <bdi>{e.name}</bdi>
          </b>
        </button>
        <bdi className="cut muted grow small">
          {Object.entries(labels)
            .map(([k, v]) => `${k}=${v}`)
            .join("  ")}
        </bdi>
        <span className="small nowrap">
          <Time ms={fired} /> <span className="muted">for {duration(Math.max(0, ended - fired) * 1e6)}</span>
        </span>
      </header>
      {open && (
        <div className="body">
          <EvidenceOf episode={e} />
        </div>
      )}
    </section>
  );
}
