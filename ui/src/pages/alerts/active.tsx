/** Alerts that fire or are about to, each with its evidence. */
import { BellOff } from "lucide-react";
import { useState } from "react";
import type { AmAlert } from "@/api/alertmanager";
import { count, duration, plural } from "@/lib/format";
import { findIds } from "@/lib/ids";
import { Empty } from "@/parts/feedback";
import { Ago, RequestLink, StateBadge } from "@/parts/show";
import { Value } from "@/parts/value";
import { useRange } from "@/shell/range";
import { A, href, useParams } from "@/shell/url";
import type { FlatAlert } from "./alerts";
import { EvidenceFor } from "./evidence";
import { RuleChart } from "./rule-chart";

/** Links of annotations: only to the web, never to a script. */
export const isWebLink = (text: string) => /^https?:\/\/[^\s<>"]+$/i.test(text.trim());

const order = (state: string) => (state === "firing" ? 0 : state === "pending" ? 1 : 2);

export function Active({
  list,
  sent,
  rules,
  known,
}: {
  list: readonly FlatAlert[];
  sent: readonly AmAlert[];
  rules: number;
  known: boolean;
}) {
  const [params, setParams] = useParams();
  const { nowMs } = useRange();
  if (known && list.length === 0)
    return (
      <Empty title={rules ? "Nothing fires" : "There are no rules yet"}>
        {rules ? (
          `${plural(rules, "rule")} are watched; none is firing or pending.`
        ) : (
          <>
            <p>Prometheus rule files work as they are. Start Braid with them, or write one under “Make an alert”:</p>
            <pre>
              braid serve --rules &apos;/etc/braid/rules/*.yml&apos; --alertmanager.config /etc/braid/alertmanager.yml
            </pre>
          </>
        )}
      </Empty>
    );
  const sorted = [...list].sort(
    (a, b) =>
      order(a.alert.state) - order(b.alert.state) || (b.alert.activeAt ?? "").localeCompare(a.alert.activeAt ?? ""),
  );
  return (
    <div className="col" style={{ paddingTop: 10 }}>
      {params.alert && (
        <p>
          <button type="button" className="chip" onClick={() => setParams({ alert: undefined })}>
            only {params.alert} ×
          </button>
        </p>
      )}
      {sorted
        .filter((a) => !params.alert || a.rule.name === params.alert)
        .slice(0, 300)
        .map((a) => (
          <Card
            key={a.rule.name + JSON.stringify(a.alert.labels)}
            a={a}
            nowMs={nowMs}
            open={params.alert === a.rule.name}
            silenced={silencedBy(a, sent)}
          />
        ))}
    </div>
  );
}

/** The Alertmanager's view of an alert: the same labels. */
function silencedBy(a: FlatAlert, sent: readonly AmAlert[]): number {
  const key = JSON.stringify(Object.entries(a.alert.labels).sort());
  return sent.find((s) => JSON.stringify(Object.entries(s.labels).sort()) === key)?.status.silencedBy.length ?? 0;
}

function Card({ a, nowMs, open, silenced }: { a: FlatAlert; nowMs: number; open: boolean; silenced: number }) {
  const [isOpen, setOpen] = useState(open);
  const { alert, rule } = a;
  const { alertname: _, ...labels } = alert.labels;
  const runbook = alert.annotations.runbook_url ?? alert.annotations.runbook;
  const evidence = Object.entries(alert.annotations).filter(
    ([k]) => !k.startsWith("braid_") && !["summary", "description", "runbook_url", "runbook"].includes(k),
  );
  const ids = findIds(Object.values(alert.annotations).join(" "), 10);
  return (
    <section className="panel">
      <header style={{ borderBottom: isOpen ? undefined : 0, flexWrap: "wrap" }}>
        <StateBadge state={alert.state} />
        <button type="button" className="value" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
          <b>
            {isOpen ? "▾" : "▸"} <bdi>{rule.name}</bdi>
          </b>
        </button>
        {labels.severity && (
          <span className={`badge ${/crit|page/.test(labels.severity) ? "error" : "warn"}`}>{labels.severity}</span>
        )}
        {silenced > 0 && (
          <span className="badge">
            <BellOff size={11} /> silenced
          </span>
        )}
        <span className="muted cut grow">
          <bdi>{(alert.annotations.summary ?? alert.annotations.description ?? "").slice(0, 300)}</bdi>
        </span>
        <span className="muted small">
          {alert.activeAt && <Ago ms={Date.parse(alert.activeAt)} nowMs={nowMs} />}
          {alert.value && ` · value ${count(Number(alert.value))}`}
        </span>
        <A className="btn small" to={href("/alerting", { tab: "silences", new: JSON.stringify(alert.labels) })}>
          <BellOff size={12} /> Silence
        </A>
      </header>
      {isOpen && (
        <div className="body col">
          {alert.annotations.description && (
            <p>
              <bdi>{alert.annotations.description}</bdi>
            </p>
          )}
          <div className="row wrap">
            {Object.entries(labels).map(([k, v]) => (
              <span key={k} className="chip">
                <span className="muted">{k}</span> <Value field={k} value={v} />
              </span>
            ))}
            {runbook &&
              (isWebLink(runbook) ? (
                <a className="btn small" href={runbook} target="_blank" rel="noopener noreferrer">
                  Runbook
                </a>
              ) : (
                <span className="chip">runbook {runbook}</span>
              ))}
          </div>
          {ids.length > 0 && (
            <p className="row wrap">
              <b>Requests behind it</b>
              {ids.map((i) => (
                <span key={i.id} className="chip">
                  <RequestLink id={i.id} />
                </span>
              ))}
            </p>
          )}
          {evidence.length > 0 && (
            <dl className="kv">
              {evidence.map(([k, v]) => (
                <Evidence key={k} name={k} value={v} />
              ))}
            </dl>
          )}
          <EvidenceFor name={rule.name} labels={alert.labels} />
          <RuleChart rule={rule} />
          <p className="small muted">
            Rule <b>{rule.name}</b> of group {a.group.name}, every {a.group.interval} s
            {rule.duration ? `, holds for ${duration(rule.duration * 1e9)}` : ""}
          </p>
        </div>
      )}
    </section>
  );
}

function Evidence({ name, value }: { name: string; value: string }) {
  return (
    <>
      <dt>{name}</dt>
      <dd style={{ whiteSpace: "pre-wrap" }}>
        {isWebLink(value) ? (
          <a href={value} target="_blank" rel="noopener noreferrer">
            {value.slice(0, 200)}
          </a>
        ) : (
          <bdi>{value.slice(0, 4000)}</bdi>
        )}
      </dd>
    </>
  );
}
