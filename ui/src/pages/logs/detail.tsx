/** One log record opened in place: its fields, its body as a tree, the lines around it. */
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { Copy, ListTree, PanelRight, Waypoints } from "lucide-react";
import { useState } from "react";
import { asCurl } from "@/api/http";
import { type Level, levelOf, type LogLine, logParams } from "@/api/loki";
import { type FoundRecord, logContext, textOf } from "@/api/search";
import { bytes, duration, plural, whole } from "@/lib/format";
import { contextScopes, selectorOf } from "@/lib/logql";
import { formatTime, nsToMs } from "@/lib/time";
import { ErrorNotice } from "@/parts/feedback";
import { JsonTree, parseJson } from "@/parts/json";
import { Menu, MenuItem } from "@/parts/overlay";
import { Progress, useRun } from "@/parts/progress";
import { levelColor, Service } from "@/parts/show";
import { copy } from "@/parts/toast";
import { Attributes } from "@/parts/value";
import { A, href, requestHref, useOpenBeside } from "@/shell/url";

/** The most text laid out at once; the rest can be copied. */
const maxShown = 200_000;

const asList = (o: Record<string, string>) => Object.entries(o).map(([key, value]) => ({ key, value }));

export function RowDetail({ line, context }: { line: LogLine; context: boolean }) {
  const [around, setAround] = useState(false);
  const [raw, setRaw] = useState(false);
  const beside = useOpenBeside();
  const json = parseJson(line.line);
  const link = () => {
    const at = { from: String(Math.floor(line.ms) - 60_000), to: String(Math.floor(line.ms) + 60_000) };
    return window.location.origin + href("/explore/logs", { q: selectorOf(line.labels), ...at });
  };
  const whole = {
    time: new Date(line.ms).toISOString(),
    timeNs: line.ns,
    line: line.line,
    labels: line.labels,
    fields: line.fields,
  };
  return (
    <div className="more col">
      <div className="row wrap">
        {line.traceId && (
          <>
            <A className="btn small" to={requestHref(line.traceId, { span: line.spanId })}>
              <Waypoints size={13} /> Whole request
            </A>
            <button
              type="button"
              className="btn small"
              onClick={() => beside(requestHref(line.traceId, { span: line.spanId }))}
            >
              <PanelRight size={13} /> Beside
            </button>
          </>
        )}
        {context && (
          <button type="button" className="btn small" aria-pressed={around} onClick={() => setAround(!around)}>
            <ListTree size={13} /> Lines around
          </button>
        )}
        {json !== undefined && (
          <button type="button" className="btn small" aria-pressed={raw} onClick={() => setRaw(!raw)}>
            Raw
          </button>
        )}
        <Menu
          align="start"
          trigger={
            <button type="button" className="btn small">
              <Copy size={13} /> Copy
            </button>
          }
        >
          <MenuItem onSelect={() => void copy(line.line)}>Line</MenuItem>
          <MenuItem onSelect={() => void copy(JSON.stringify(whole, null, 2))}>Record as JSON</MenuItem>
          <MenuItem onSelect={() => void copy(link())}>Link to this moment</MenuItem>
          <MenuItem
            onSelect={() => {
              const r = { fromMs: Math.floor(line.ms) - 1000, toMs: Math.floor(line.ms) + 1000 };
              void copy(asCurl("/loki/api/v1/query_range", logParams(selectorOf(line.labels), r, 100, "backward")));
            }}
          >
            curl command
          </MenuItem>
        </Menu>
      </div>
      {json !== undefined && !raw ? (
        <JsonTree value={json} />
      ) : (
        <pre style={{ whiteSpace: "pre-wrap", overflowWrap: "anywhere", maxHeight: 420, overflow: "auto" }}>
          <bdi>{line.line.slice(0, maxShown)}</bdi>
          {line.line.length > maxShown && `… ${bytes(line.line.length)} in all: copy the line to have it whole`}
        </pre>
      )}
      {Object.keys(line.fields).length > 0 && <Attributes list={asList(line.fields)} />}
      <details>
        <summary className="muted small">Stream labels ({Object.keys(line.labels).length})</summary>
        <Attributes list={asList(line.labels)} />
      </details>
      {around && <Around line={line} />}
    </div>
  );
}

/** How far away a line around may be. */
const reach = 86_400_000;

function Around({ line }: { line: LogLine }) {
  const [n, setN] = useState(10);
  const scopes = contextScopes(line);
  const [chosen, setScope] = useState(scopes[0]?.id ?? "");
  const selector = (scopes.find((s) => s.id === chosen) ?? scopes[0])?.selector ?? "{}";
  const key = ["around", selector, line.ns, n];
  const q = useQuery({
    queryKey: key,
    queryFn: ({ signal }) =>
      logContext(selector, { fromMs: line.ms - reach, toMs: line.ms + reach }, line.ns, n, signal),
    placeholderData: keepPreviousData,
  });
  const run = useRun({ key, q });
  const row = (r: FoundRecord) => {
    const ms = nsToMs(r.time);
    return (
      <AroundRow
        key={r.at}
        level={levelOf(r.level)}
        service={chosen === "stream" ? "" : String(r.resource?.["service.name"] ?? "")}
        at={`${ms < line.ms ? "−" : "+"}${duration(Math.abs(Number(BigInt(r.time) - BigInt(line.ns))))}`}
        title={formatTime(ms)}
        text={textOf(r)}
      />
    );
  };
  return (
    <div>
      <div className="row">
        <h3>Lines around it</h3>
        <select
          className="select small"
          aria-label="Lines of"
          value={chosen}
          onChange={(e) => setScope(e.target.value)}
          style={{ height: 24 }}
        >
          {scopes.map((s) => (
            <option key={s.id} value={s.id}>
              {s.label}
            </option>
          ))}
        </select>
        <button type="button" className="btn small" onClick={() => setN(n * 2)} disabled={n >= 640}>
          More
        </button>
      </div>
      <Progress run={run} />
      <ErrorNotice error={q.error} retry={() => void q.refetch()} />
      {q.data?.before.map(row)}
      {q.data && (
        <AroundRow
          self
          level={line.level}
          service={chosen === "stream" ? "" : line.service}
          at="this"
          title={formatTime(line.ms)}
          text={line.line}
        />
      )}
      {q.data?.after.map(row)}
      {q.data && (
        <p className="faint small">
          {plural(q.data.before.length, "record")} before, {whole(q.data.after.length)} after, within a day of it.
        </p>
      )}
    </div>
  );
}

function AroundRow({
  level,
  service,
  at,
  title,
  text,
  self = false,
}: {
  level: Level;
  service: string;
  at: string;
  title: string;
  text: string;
  self?: boolean;
}) {
  return (
    <div className={self ? "row mono around self" : "row mono around"} style={{ borderLeftColor: levelColor(level) }}>
      <span className="muted nowrap num" title={title}>
        {at}
      </span>
      {service && <Service name={service} />}
      <bdi className="cut">{text.slice(0, 1000)}</bdi>
    </div>
  );
}
