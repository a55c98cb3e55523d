/** Why an alert fired: its requests, its log lines, what is different about them. */
import { useQuery } from "@tanstack/react-query";
import { type Episode, episodeOf, alertHistory, evidenceOf, type Pack } from "@/api/evidence";
import { levelOf } from "@/api/loki";
import type { Labels } from "@/api/prom";
import { duration, percent } from "@/lib/format";
import { seriesName, seriesVar } from "@/lib/series";
import { TimeChart } from "@/parts/chart";
import { ErrorNotice, Loading, Warnings } from "@/parts/feedback";
import { LevelMark, RequestLink, Service, StateBadge, Time } from "@/parts/show";
import { Table } from "@/parts/table";
import { Value } from "@/parts/value";
import { A, href } from "@/shell/url";

/** The evidence of an alert that is known by its labels. */
export function EvidenceFor({ name, labels }: { name: string; labels: Labels }) {
  const q = useQuery({
    queryKey: ["history-of", name],
    queryFn: ({ signal }) => alertHistory({ name, limit: 100 }, signal),
    retry: false,
  });
  const episode = episodeOf(q.data ?? [], labels);
  return (
    <>
      <ErrorNotice error={q.error} />
      {episode && <EvidenceOf episode={episode} />}
    </>
  );
}

export function EvidenceOf({ episode }: { episode: Episode }) {
  const q = useQuery({
    queryKey: ["evidence", episode.fingerprint, episode.firedAt],
    queryFn: ({ signal }) => evidenceOf(episode.fingerprint, episode.firedAt, signal),
    refetchInterval: (state) => (state.state.data === null ? 5000 : false),
  });
  return (
    <div className="col">
      <Loading on={q.isFetching} />
      <ErrorNotice error={q.error} />
      {q.data === null && <p className="muted">The evidence is being gathered, or there was none.</p>}
      {q.data && <PackView pack={q.data} />}
      {(episode.pages?.length ?? 0) > 0 && (
        <p className="small muted">
          Paged:{" "}
          {episode.pages?.map((p, i) => (
            <span key={i} style={{ marginRight: 12 }}>
              <Time ms={Date.parse(p.at)} /> {p.receiver} ({p.integration}){p.resolved && " resolved"}
              {p.error && <span className="t-error"> failed: {p.error.slice(0, 200)}</span>}
            </span>
          ))}
        </p>
      )}
    </div>
  );
}

function PackView({ pack }: { pack: Pack }) {
  const range = { fromMs: Date.parse(pack.from), toMs: Date.parse(pack.to) };
  return (
    <>
      <Warnings list={pack.missing} />
      {pack.values.length > 0 && (
        <TimeChart
          label="Values when it fired"
          lines={pack.values.slice(0, 20).map((s, i) => ({
            name: seriesName(s.labels),
            color: seriesVar(i),
            points: s.points.map((p) => [Number(p.t), p.v] as const),
          }))}
          range={range}
          height={150}
        />
      )}
      {pack.requests.length > 0 && (
        <section>
          <h3>Requests behind it</h3>
          <Table
            label="Requests behind the alert"
            rows={pack.requests}
            rowKey={(r, i) => `${r.traceId}/${i}`}
            columns={[
              { id: "t", head: "Time", cell: (r) => <Time ms={Date.parse(r.start)} />, sort: (r) => r.start },
              { id: "id", head: "Request", cell: (r) => <RequestLink id={r.traceId || r.requestId || ""} /> },
              { id: "s", head: "Service", cell: (r) => <Service name={r.service} />, sort: (r) => r.service },
              { id: "r", head: "Route", grow: true, cell: (r) => <bdi>{r.route}</bdi>, sort: (r) => r.route },
              { id: "w", head: "Why", cell: (r) => <span className="badge">{r.reason}</span>, sort: (r) => r.reason },
              {
                id: "st",
                head: "Status",
                cell: (r) => <StateBadge state={r.error ? "error" : r.status || "ok"} />,
                sort: (r) => (r.error ? 0 : 1),
              },
              {
                id: "d",
                head: "Duration",
                num: true,
                cell: (r) => duration(Number(r.durationNs)),
                sort: (r) => Number(r.durationNs),
              },
            ]}
          />
        </section>
      )}
      {pack.different.length > 0 && (
        <section>
          <h3>What is different about them</h3>
          <ul>
            {pack.different.map((d) => (
              <li key={`${d.field}=${d.value}`}>
                <span className="muted">{d.field}</span> <Value field={d.field} value={d.value} className="mono" />{" "}
                {percent(d.share)} of these, {percent(d.rest)} of the rest
              </li>
            ))}
          </ul>
        </section>
      )}
      {pack.logs.length > 0 && (
        <section>
          <h3>
            Log lines{" "}
            {pack.logQuery && (
              <A to={href("/explore/logs", { q: pack.logQuery, from: String(range.fromMs), to: String(range.toMs) })}>
                all
              </A>
            )}
          </h3>
          <ul className="mono">
            {pack.logs.map((l, i) => (
              <li key={i} className="row">
                <LevelMark level={levelOf(l.level)} />
                <Service name={l.service} />
                <bdi className="cut grow">{l.text.slice(0, 500)}</bdi>
                {(l.count ?? 1) > 1 && <span className="badge">×{l.count}</span>}
                {l.traceId && <RequestLink id={l.traceId} />}
              </li>
            ))}
          </ul>
        </section>
      )}
    </>
  );
}
