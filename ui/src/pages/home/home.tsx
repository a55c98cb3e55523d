/** Where one starts: what burns, how the services are, what to do when nothing is here yet. */
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { alertHistory } from "@/api/evidence";
import { health } from "@/api/native";
import { rules } from "@/api/prom";
import { plural } from "@/lib/format";
import { ErrorNotice, Notice } from "@/parts/feedback";
import { HowToSend } from "@/parts/how-to-send";
import { Progress } from "@/parts/progress";
import { Ago, StateBadge } from "@/parts/show";
import { ServiceTable, useServices } from "@/pages/services/services";
import { ServiceMap } from "@/pages/services/map";
import { useRange } from "@/shell/range";
import { useTitle } from "@/shell/shell";
import { firedBefore } from "./fired";
import { A, href } from "@/shell/url";

export default function HomePage() {
  useTitle("");
  const { range, carry, nowMs } = useRange();
  const { q: map, run } = useServices(range);
  const alerts = useQuery({ queryKey: ["rules"], queryFn: ({ signal }) => rules(signal), retry: false });
  const state = useQuery({ queryKey: ["health"], queryFn: ({ signal }) => health(signal), retry: false });
  const firing = (alerts.data ?? [])
    .flatMap((g) => g.rules)
    .flatMap((r) => (r.alerts ?? []).filter((a) => a.state === "firing").map((a) => ({ rule: r.name, alert: a })));
  const nodes = map.data?.nodes ?? [];
  const sick = (state.data?.list ?? []).filter((p) => p.status !== "healthy");
  return (
    <div className="page">
      <div className="page-head">
        <h1>{greeting(firing.length, map.isSuccess, nodes.length)}</h1>
      </div>
      {sick.map((p) => (
        <Notice key={p.name} kind={p.status === "degraded" ? "warn" : "error"} action={<A to="/status">Status</A>}>
          <b>{p.name}</b> is {p.status}
          {p.reason && `: ${p.reason}`}
        </Notice>
      ))}
      {firing.length > 0 && (
        <section className="panel">
          <header>
            <h2>Firing</h2>
            <A className="push" to={href("/alerting", carry)}>
              All alerts
            </A>
          </header>
          <table className="table" aria-label="Firing alerts">
            <tbody>
              {firing.slice(0, 8).map(({ rule, alert }) => (
                <tr key={rule + JSON.stringify(alert.labels)}>
                  <td style={{ width: 80 }}>
                    <StateBadge state="firing" />
                  </td>
                  <td>
                    <A to={href("/alerting", { ...carry, alert: rule })}>{rule}</A>
                  </td>
                  <td className="muted">
                    <bdi>{(alert.annotations.summary ?? alert.annotations.description ?? "").slice(0, 200)}</bdi>
                  </td>
                  <td className="num muted">
                    {alert.activeAt && <Ago ms={Date.parse(alert.activeAt)} nowMs={nowMs} />}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      )}
      <FiredBefore now={new Set(firing.map((f) => f.rule))} />
      <Progress run={run} />
      <ErrorNotice error={map.error} retry={() => void map.refetch()} />
      {map.isSuccess && nodes.length === 0 ? (
        <HowToSend signal="traces" />
      ) : (
        nodes.length > 0 && (
          <>
            <ServiceMap nodes={nodes} edges={map.data?.edges ?? []} />
            <ServiceTable nodes={nodes} />
          </>
        )
      )}
    </div>
  );
}

/** Alerts of this range that are quiet again: one is paged, and looks when it is over. */
function FiredBefore({ now }: { now: ReadonlySet<string> }) {
  const { range, carry, nowMs } = useRange();
  const q = useQuery({
    queryKey: ["fired-before", range.fromMs, range.toMs],
    queryFn: ({ signal }) => alertHistory({ startMs: range.fromMs, endMs: range.toMs, limit: 500 }, signal),
    placeholderData: keepPreviousData,
    retry: false,
  });
  const over = firedBefore(q.data ?? [], now);
  if (over.length === 0) return null;
  return (
    <section className="panel">
      <header>
        <h2>Fired in this range</h2>
        <A className="push" to={href("/alerting", { ...carry, tab: "history" })}>
          History
        </A>
      </header>
      <table className="table" aria-label="Alerts that fired in this range">
        <tbody>
          {over.slice(0, 6).map((e) => (
            <tr key={e.name}>
              <td style={{ width: 80 }}>
                <StateBadge state="resolved" />
              </td>
              <td>
                <A to={href("/alerting", { ...carry, tab: "history", alert: e.name })}>{e.name}</A>
              </td>
              <td className="muted">
                <bdi>{e.summary.slice(0, 200)}</bdi>
              </td>
              <td className="num muted">
                {plural(e.times, "time")}, last <Ago ms={e.lastMs} nowMs={nowMs} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function greeting(firing: number, known: boolean, services: number): string {
  if (firing > 0) return `${plural(firing, "alert")} firing`;
  if (!known) return "Overview";
  return services
    ? `${plural(services, "service and dependency", "services and dependencies")}, no alert firing`
    : "Welcome to Braid";
}
