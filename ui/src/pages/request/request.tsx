/** One id, everything that is known of it: no time range needed. */
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useParams as useRouteParams } from "@tanstack/react-router";
import { GitCompareArrows } from "lucide-react";
import { useMemo, useState } from "react";
import { asCurl } from "@/api/http";
import { type CorrelateResponse, correlate, correlatePath } from "@/api/native";
import { bytes, duration, plural } from "@/lib/format";
import { nsToMs } from "@/lib/time";
import { buildForest } from "@/lib/waterfall";
import { Empty, ErrorNotice, Notice, Warnings } from "@/parts/feedback";
import { type Exportable, ShareMenu } from "@/parts/menus";
import { Tabs } from "@/parts/overlay";
import { Progress, useRun } from "@/parts/progress";
import { RequestLink, Service, StateBadge, Time } from "@/parts/show";
import { Value } from "@/parts/value";
import { CarryRange } from "@/shell/range";
import { useTitle } from "@/shell/shell";
import { A, href, requestHref, useParams } from "@/shell/url";
import { ExemplarTable } from "./exemplars";
import { Flame } from "./flame";
import { RequestLogs } from "./logs";
import { RequestList } from "./requests";
import { SpanTable } from "./spans";
import { Waterfall } from "./waterfall";

const limits = [10_000, 100_000, 1_000_000];

export default function RequestPage() {
  const { id = "" } = useRouteParams({ strict: false }) as { id?: string };
  const [params, setParams] = useParams();
  const [step, setStep] = useState(0);
  const limit = limits[step] ?? limits[0]!;
  useTitle(id);
  const key = ["correlate", id, params.kind, limit];
  const q = useQuery({
    queryKey: key,
    queryFn: ({ signal }) => correlate(id, params.kind, limit, signal),
    placeholderData: (before, beforeQuery) => (beforeQuery?.queryKey[1] === id ? keepPreviousData(before) : undefined),
  });
  const run = useRun({ key, q });
  const r = q.data;
  const forest = useMemo(() => buildForest(r?.spans ?? [], r?.logs ?? []), [r]);
  const many = (r?.requests?.length ?? 0) > 1;
  const found =
    r &&
    ((r.spans?.length ?? 0) > 0 ||
      (r.logs?.length ?? 0) > 0 ||
      (r.exemplars?.length ?? 0) > 0 ||
      (r.requests?.length ?? 0) > 0);
  const full = (r?.spans?.length ?? 0) >= limit || (r?.logs?.length ?? 0) >= limit;

  const tabs = !r
    ? []
    : [
        ...(many
          ? [
              {
                id: "requests",
                label: `Requests (${r.requests?.length})`,
                content: <RequestList id={id} first={r.requests ?? []} />,
              },
            ]
          : []),
        { id: "waterfall", label: "Waterfall", content: <Waterfall forest={forest} /> },
        { id: "flame", label: "Flame graph", content: <Flame forest={forest} /> },
        { id: "spans", label: `Spans (${r.spans?.length ?? 0})`, content: <SpanTable forest={forest} /> },
        { id: "logs", label: `Logs (${r.logs?.length ?? 0})`, content: <RequestLogs logs={r.logs ?? []} /> },
        {
          id: "metrics",
          label: `Metrics (${r.exemplars?.length ?? 0})`,
          content: <ExemplarTable list={r.exemplars ?? []} />,
        },
      ];
  const fallback = many && !r?.spans?.length ? "requests" : "waterfall";

  return (
    <div className="page fill">
      <div className="page-head">
        <h1>Request</h1>
        <span className="mono cut" style={{ fontSize: 15 }}>
          <Value field="" value={id} />
        </span>
        {r && found && <Identity r={r} />}
        <div className="push row">
          <A className="btn" to={href("/compare", { a: id })}>
            <GitCompareArrows size={14} /> <span className="hide-narrow">Compare</span>
          </A>
          <ShareMenu data={exportOf(id, r)} />
        </div>
      </div>
      <Progress run={run} />
      <ErrorNotice error={q.error} retry={() => void q.refetch()} />
      {r && !found && <NotFound id={id} r={r} />}
      {r && found && (
        <>
          <Summary r={r} total={forest.total} />
          <Gaps r={r} />
          {full && step < limits.length - 1 && (
            <Notice
              kind="warn"
              action={
                <button type="button" className="btn small" onClick={() => setStep(step + 1)}>
                  Read up to {plural(limits[step + 1]!, "record")}
                </button>
              }
            >
              Only the first {plural(limit, "span and log", "spans and logs")} are shown.
            </Notice>
          )}
          <CarryRange fromMs={nsToMs(r.range?.start)} toMs={nsToMs(r.range?.end)}>
            <Tabs
              label="Views of the request"
              fill
              tabs={tabs}
              value={params.view ?? fallback}
              onChange={(v) => setParams({ view: v === fallback ? undefined : v })}
            />
          </CarryRange>
        </>
      )}
    </div>
  );
}

function exportOf(id: string, r: CorrelateResponse | undefined): Exportable {
  return {
    name: `request-${id.replace(/[^\w.-]/g, "_").slice(0, 60)}`,
    call: { path: correlatePath(id), params: {} },
    ...(r
      ? {
          json: () => r,
          ndjson: () => [
            ...(r.spans ?? []).map((span) => ({ span })),
            ...(r.logs ?? []).map((log) => ({ log })),
            ...(r.exemplars ?? []).map((exemplar) => ({ exemplar })),
          ],
          table: () => ({
            header: [
              "service",
              "name",
              "kind",
              "status",
              "start_ns",
              "duration_ns",
              "trace_id",
              "span_id",
              "parent_id",
            ],
            rows: (r.spans ?? []).map((s) => [
              s.service ?? "",
              s.name ?? "",
              s.kind ?? "",
              s.status ?? "",
              s.startNs ?? "",
              s.durationNs ?? "",
              s.traceId ?? "",
              s.spanId ?? "",
              s.parentId ?? "",
            ]),
          }),
        }
      : {}),
  };
}

/** What kind of id it is. */
function Identity({ r }: { r: CorrelateResponse }) {
  const kinds = [...new Set((r.kinds ?? []).map((k) => k.kind ?? ""))].filter(Boolean);
  return kinds.length ? <span className="muted small nowrap">{kinds.join(", ")} id</span> : null;
}

function Summary({ r, total }: { r: CorrelateResponse; total: number }) {
  const errors = (r.services ?? []).reduce((n, s) => n + (s.errors ?? 0), 0);
  const start = nsToMs(r.range?.start);
  return (
    <div className="col" style={{ gap: 8 }}>
      <div className="row wrap" style={{ gap: "4px 18px" }}>
        {start > 0 && <Time ms={start} />}
        <b>{duration(total)}</b>
        <span>{plural(r.services?.length ?? 0, "service")}</span>
        <span>{plural(r.spans?.length ?? 0, "span")}</span>
        <span>{plural(r.logs?.length ?? 0, "log record")}</span>
        <span className={errors ? "badge error" : "badge ok"}>{errors ? plural(errors, "error") : "no errors"}</span>
        {r.cost && Number(r.cost.bytes ?? 0) > 0 && (
          <span className="faint small">
            read {bytes(Number(r.cost.bytes ?? 0))} in {Number(r.cost.blocks ?? 0)} blocks,{" "}
            {duration((r.cost.seconds ?? 0) * 1e9)}
          </span>
        )}
      </div>
      <div className="row wrap" style={{ gap: 6 }}>
        {(r.aliases ?? []).slice(0, 12).map((a) => (
          <span key={`${a.kind}/${a.id}`} className="chip">
            <span className="muted">{a.kind}</span> <RequestLink id={a.id ?? ""} />
          </span>
        ))}
        {(r.services ?? []).map((s) => (
          <A
            key={s.name}
            className="chip"
            title={`${s.name}: ${plural(s.spans ?? 0, "span")}, ${plural(s.logs ?? 0, "log record")}, ${plural(s.errors ?? 0, "error")}`}
            to={href(`/service/${encodeURIComponent(s.name ?? "")}`)}
            style={{ color: "var(--text)" }}
          >
            <Service name={s.name ?? ""} />
            <span className="faint">{plural(s.spans ?? 0, "span")}</span>
            {(s.errors ?? 0) > 0 && <span className="badge error">{plural(s.errors ?? 0, "error")}</span>}
          </A>
        ))}
        {(r.alerts ?? []).map((a) => (
          <A key={a.fingerprint} className="chip" to={href("/alerting", { alert: a.labels?.alertname })}>
            <StateBadge state={a.state || "firing"} /> {a.labels?.alertname ?? a.fingerprint}
          </A>
        ))}
      </div>
    </div>
  );
}

const shownGaps = 5;

function Gaps({ r }: { r: CorrelateResponse }) {
  const [all, setAll] = useState(false);
  const gaps = [...new Map((r.gaps ?? []).map((g) => [`${g.kind}/${g.message}/${g.service}`, g])).values()];
  return (
    <>
      {gaps.length > 0 && (
        <Notice
          kind="warn"
          action={
            gaps.length > shownGaps && !all ? (
              <button type="button" className="btn small" onClick={() => setAll(true)}>
                All {gaps.length}
              </button>
            ) : undefined
          }
        >
          <b>What is missing</b>
          {gaps.slice(0, all ? undefined : shownGaps).map((g, i) => (
            <div key={i}>
              <bdi>{g.message || g.kind}</bdi>
            </div>
          ))}
        </Notice>
      )}
      <Warnings list={r.warnings} />
    </>
  );
}

function NotFound({ id, r }: { id: string; r: CorrelateResponse }) {
  return (
    <Empty title="Nothing carries this id">
      <p>
        No span, log record or exemplar of this tenant has <code>{id}</code> as a trace, request, session or user id.
        {r.complete === false && " But the search was not complete: a part of the system did not answer."}
      </p>
      <Warnings list={r.warnings} />
      {(r.near?.length ?? 0) > 0 && (
        <>
          <p>Ids like it:</p>
          <ul>
            {r.near?.map((n) => (
              <li key={`${n.kind}/${n.id}`}>
                {n.kind} <A to={requestHref(n.id ?? "")}>{n.id}</A>
              </li>
            ))}
          </ul>
        </>
      )}
      <p>
        What may be wrong: the data is older than the retention, has not arrived yet, or carries the id in an attribute
        that is not configured as a correlation id. Its text may still stand in a log line:
      </p>
      <p style={{ marginTop: 8 }}>
        <A
          className="btn"
          to={href("/explore/logs", { q: `{service_name=~".+"} |= ${JSON.stringify(id)}`, from: "now-24h", to: "now" })}
        >
          Find it in all logs of the last day
        </A>
      </p>
      <pre>{asCurl(correlatePath(id))}</pre>
    </Empty>
  );
}
