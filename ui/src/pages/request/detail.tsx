/** What is known of one span or one log record. */
import { X } from "lucide-react";
import { useState } from "react";
import { levelOf } from "@/api/loki";
import { duration, percent } from "@/lib/format";
import { nsToMs } from "@/lib/time";
import { condition } from "@/lib/traceql";
import { type Forest, selfTime } from "@/lib/waterfall";
import { JsonTree, parseJson } from "@/parts/json";
import { LevelMark, RequestLink, Service, StateBadge, Time } from "@/parts/show";
import { copy } from "@/parts/toast";
import { Attributes, Value, ValueActions } from "@/parts/value";
import { useRange } from "@/shell/range";
import { href, useGo, useParams } from "@/shell/url";

export type Selected = { kind: "span" | "log"; index: number };

export function Detail({ forest, selected, onClose }: { forest: Forest; selected: Selected; onClose: () => void }) {
  return (
    <aside className="detail" aria-label="Details">
      <button
        type="button"
        className="btn ghost small icon"
        style={{ float: "right" }}
        aria-label="Close the details"
        onClick={onClose}
      >
        <X size={15} />
      </button>
      {selected.kind === "span" ? (
        <SpanDetail forest={forest} index={selected.index} />
      ) : (
        <LogDetail forest={forest} index={selected.index} />
      )}
    </aside>
  );
}

function SpanDetail({ forest, index }: { forest: Forest; index: number }) {
  const n = forest.nodes[index]!;
  const s = n.span;
  const go = useGo();
  const { carry } = useRange();
  const [, setParams] = useParams();
  const actions = (scope: string) => ({
    include: (f: string, v: string, t?: string) =>
      go(href("/explore/traces", { ...carry, q: `{ ${condition(scope + f, "=", v, t)} }` })),
    exclude: (f: string, v: string, t?: string) =>
      go(href("/explore/traces", { ...carry, q: `{ ${condition(scope + f, "!=", v, t)} }` })),
    groupBy: (f: string) => go(href("/explore/traces", { ...carry, view: "breakdown", by: scope + f })),
  });
  const self = selfTime(forest, index);
  return (
    <div className="col">
      <h2 style={{ overflowWrap: "anywhere", paddingRight: 30 }}>
        <bdi>{s.name}</bdi>
      </h2>
      <div className="row wrap">
        <Service name={n.service} />
        <span className="badge">{s.kind || "internal"}</span>
        <StateBadge state={n.error ? "error" : s.status || "unset"} />
        {n.critical && <span className="badge warn">critical path</span>}
      </div>
      {s.statusMessage && (
        <pre className="t-error" style={{ whiteSpace: "pre-wrap", overflowWrap: "anywhere" }}>
          <bdi>{s.statusMessage.slice(0, 20_000)}</bdi>
        </pre>
      )}
      <dl className="kv">
        <dt>Start</dt>
        <dd>
          <Time ms={nsToMs(s.startNs)} /> <span className="faint">(+{duration(n.start)})</span>
        </dd>
        <dt>Duration</dt>
        <dd>
          {duration(n.duration)}{" "}
          <span className="faint">{percent(n.duration / Math.max(1, forest.total))} of the request</span>
        </dd>
        <dt>Its own time</dt>
        <dd>
          {duration(self)} <span className="faint">{n.duration > 0 ? percent(self / n.duration) : ""}</span>
        </dd>
        <dt>Span id</dt>
        <dd>
          <Value field="span_id" value={s.spanId ?? ""} />
        </dd>
        <dt>Trace id</dt>
        <dd>
          <Value field="trace_id" value={s.traceId ?? ""} />
        </dd>
        {s.scope && (
          <>
            <dt>Scope</dt>
            <dd>{s.scope}</dd>
          </>
        )}
      </dl>
      {(s.flags?.length ?? 0) > 0 && <p className="t-warn small">{s.flags?.join(", ")}</p>}
      <Section title={`Attributes (${s.attributes?.length ?? 0})`}>
        <ValueActions value={actions("span.")}>
          <Attributes list={s.attributes ?? []} />
        </ValueActions>
      </Section>
      {(s.events?.length ?? 0) > 0 && (
        <Section title={`Events (${s.events?.length})`}>
          {s.events?.slice(0, 200).map((e, i) => (
            <div key={i} style={{ marginBottom: 8 }}>
              <b>
                <bdi>{e.name}</bdi>
              </b>{" "}
              <span className="faint small">+{duration(Number(BigInt(e.timeNs || "0") - forest.base))}</span>
              <Attributes list={e.attributes ?? []} />
            </div>
          ))}
        </Section>
      )}
      {n.logs.length > 0 && (
        <Section title={`Logs (${n.logs.length})`}>
          <ul className="mono">
            {n.logs.slice(0, 100).map((l) => (
              <li key={l} className="row">
                <LevelMark level={levelOf(forest.logs[l]?.log.level || forest.logs[l]?.log.severityText)} />
                <button
                  type="button"
                  className="value cut"
                  onClick={() => setParams({ log: String(l), span: undefined })}
                >
                  <bdi>{(forest.logs[l]?.log.body ?? "").slice(0, 300)}</bdi>
                </button>
              </li>
            ))}
          </ul>
        </Section>
      )}
      {(s.links?.length ?? 0) > 0 && (
        <Section title={`Links (${s.links?.length})`}>
          {s.links?.slice(0, 100).map((l, i) => (
            <div key={i}>
              <RequestLink id={l.traceId ?? ""} full /> <Attributes list={l.attributes ?? []} />
            </div>
          ))}
        </Section>
      )}
      <Section title={`Resource (${s.resource?.length ?? 0})`} closed>
        <ValueActions value={actions("resource.")}>
          <Attributes list={s.resource ?? []} />
        </ValueActions>
      </Section>
      <button
        type="button"
        className="btn small"
        onClick={() => void copy(JSON.stringify(s, null, 2), "Span copied as JSON")}
      >
        Copy as JSON
      </button>
    </div>
  );
}

function LogDetail({ forest, index }: { forest: Forest; index: number }) {
  const { log, at } = forest.logs[index]!;
  const go = useGo();
  const { carry } = useRange();
  const json = parseJson(log.body ?? "");
  const filter = (op: string) => (f: string, v: string) => {
    const name = f.replace(/[^\w]/g, "_");
    go(
      href("/explore/logs", {
        ...carry,
        q: `{service_name=${JSON.stringify(log.service ?? "")}} | ${name}${op}${JSON.stringify(v)}`,
      }),
    );
  };
  return (
    <div className="col">
      <div className="row wrap">
        <LevelMark level={levelOf(log.level || log.severityText)} />
        <Service name={log.service ?? ""} />
        <Time ms={nsToMs(log.timeNs)} />
        <span className="faint">+{duration(at)}</span>
      </div>
      <ValueActions value={{ include: filter("="), exclude: filter("!=") }}>
        {json ? (
          <JsonTree value={json} />
        ) : (
          <pre style={{ whiteSpace: "pre-wrap", overflowWrap: "anywhere", maxHeight: "50vh", overflow: "auto" }}>
            <bdi>{(log.body ?? "").slice(0, 200_000)}</bdi>
          </pre>
        )}
        <Section title={`Attributes (${log.attributes?.length ?? 0})`}>
          <Attributes list={log.attributes ?? []} />
        </Section>
        <dl className="kv">
          <dt>Trace id</dt>
          <dd>
            <Value field="trace_id" value={log.traceId ?? ""} />
          </dd>
          <dt>Span id</dt>
          <dd>
            <Value field="span_id" value={log.spanId ?? ""} />
          </dd>
        </dl>
        <Section title={`Resource (${log.resource?.length ?? 0})`} closed>
          <Attributes list={log.resource ?? []} />
        </Section>
      </ValueActions>
      <button
        type="button"
        className="btn small"
        onClick={() => void copy(JSON.stringify(log, null, 2), "Log record copied as JSON")}
      >
        Copy as JSON
      </button>
    </div>
  );
}

function Section({ title, children, closed = false }: { title: string; children: React.ReactNode; closed?: boolean }) {
  const [open, setOpen] = useState(!closed);
  return (
    <section>
      <h3>
        <button type="button" className="value" aria-expanded={open} onClick={() => setOpen(!open)}>
          {open ? "▾" : "▸"} {title}
        </button>
      </h3>
      {open && <div style={{ paddingTop: 4 }}>{children}</div>}
    </section>
  );
}
