/** One log record opened in place: its fields, its body as a tree, the lines around it. */
import { useQuery } from "@tanstack/react-query";
import { Copy, ListTree, PanelRight, Waypoints } from "lucide-react";
import { useState } from "react";
import { asCurl } from "@/api/http";
import { type LogLine, logParams, queryLogs } from "@/api/loki";
import { bytes, duration } from "@/lib/format";
import { contextScopes, selectorOf } from "@/lib/logql";
import { formatTime } from "@/lib/time";
import { ErrorNotice, Loading } from "@/parts/feedback";
import { JsonTree, parseJson } from "@/parts/json";
import { Menu, MenuItem } from "@/parts/overlay";
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

function Around({ line }: { line: LogLine }) {
  const [n, setN] = useState(10);
  const scopes = contextScopes(line);
  const [chosen, setScope] = useState(scopes[0]?.id ?? "");
  const selector = (scopes.find((s) => s.id === chosen) ?? scopes[0])?.selector ?? "{}";
  const hour = 3_600_000;
  const r = { fromMs: line.ms - hour, toMs: line.ms + hour };
  const q = useQuery({
    queryKey: ["around", selector, line.ns, n],
    queryFn: async ({ signal }) => {
      const [before, after] = await Promise.all([
        queryLogs(selector, r, n, "backward", signal, { endNs: line.ns }),
        queryLogs(selector, r, n + 1, "forward", signal, { startNs: line.ns }),
      ]);
      const later = after.lines.filter((l) => l.ns !== line.ns || l.line !== line.line);
      return { before: before.lines.toReversed(), after: later.slice(0, n) };
    },
  });
  const row = (l: LogLine, self = false) => (
    <div
      key={`${l.key}/${self}`}
      className="row mono"
      style={{
        background: self ? "var(--accent-soft)" : undefined,
        borderLeft: `3px solid ${levelColor(l.level)}`,
        paddingLeft: 6,
      }}
    >
      <span className="muted nowrap" title={formatTime(l.ms)}>
        {self ? "this" : `${l.ms < line.ms ? "−" : "+"}${duration(Math.abs(l.ms - line.ms) * 1e6)}`}
      </span>
      {chosen !== "stream" && <Service name={l.service} />}
      <bdi className="cut">{l.line.slice(0, 1000)}</bdi>
    </div>
  );
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
      <Loading on={q.isFetching} />
      <ErrorNotice error={q.error} />
      {q.data?.before.map((l) => row(l))}
      {q.data && row(line, true)}
      {q.data?.after.map((l) => row(l))}
    </div>
  );
}
