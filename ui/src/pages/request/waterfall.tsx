/** Spans as bars over time with the logs at their moment among them. Only what is visible is in the page. */
import { useVirtualizer } from "@tanstack/react-virtual";
import { ChevronDown, ChevronRight, CircleAlert } from "lucide-react";
import { type CSSProperties, type KeyboardEvent, memo, useCallback, useEffect, useMemo, useRef, useState } from "react";
import { levelOf } from "@/api/loki";
import { duration, percent, plural } from "@/lib/format";
import { serviceColor } from "@/lib/series";
import { settings, useSettings } from "@/lib/settings";
import { buildRows, criticalShares, type Forest, findSpans, type Row, ticks } from "@/lib/waterfall";
import { Empty } from "@/parts/feedback";
import { levelColor, levelText } from "@/parts/show";
import { useWidth } from "@/parts/size";
import { useShortcuts } from "@/shell/shortcuts";
import { useParams } from "@/shell/url";
import { Detail, type Selected } from "./detail";
import { Minimap } from "./minimap";

const rowHeight = 25;

export interface View {
  from: number;
  to: number;
}

export function Waterfall({ forest }: { forest: Forest }) {
  const [params, setParams] = useParams();
  const [closed, setClosed] = useState<ReadonlySet<string>>(new Set());
  const [opened, setOpened] = useState<ReadonlySet<string>>(new Set());
  const view = useMemo(() => readView(params.zoom), [params.zoom]);
  const setView = (v: View) => setParams({ zoom: v.from <= 0 && v.to >= 1 ? undefined : writeView(v) });
  const [focus, setFocus] = useState(0);
  const { nameWidth } = useSettings();
  const scroll = useRef<HTMLDivElement>(null);
  const axis = useRef<HTMLDivElement>(null);
  const axisWidth = useWidth(axis);
  const showLogs = params.logs !== "off";
  const errorsOnly = params.errors === "only";
  const find = params.find ?? "";

  const only = useMemo(() => {
    if (!find && !errorsOnly) return undefined;
    const hits = find ? findSpans(forest, find) : new Set(forest.nodes.map((n) => n.index));
    if (errorsOnly) for (const i of hits) if (!forest.nodes[i]!.error) hits.delete(i);
    return hits;
  }, [forest, find, errorsOnly]);
  const rows = useMemo(
    () => buildRows(forest, { closed, opened, showLogs, groupFrom: 8, only }),
    [forest, closed, opened, showLogs, only],
  );
  const selected = useMemo(() => selectionOf(forest, params.span, params.log), [forest, params.span, params.log]);

  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroll.current,
    estimateSize: () => rowHeight,
    overscan: 12,
  });

  const toggle = useCallback((row: Row) => {
    const flip = (set: ReadonlySet<string>) => {
      const next = new Set(set);
      if (!next.delete(row.id)) next.add(row.id);
      return next;
    };
    if (row.kind === "group") setOpened(flip);
    else if (row.kind === "span") setClosed(flip);
  }, []);
  const select = useCallback(
    (row: Row) => {
      if (row.kind === "group") toggle(row);
      else if (row.kind === "log") setParams({ log: String(row.log), span: undefined });
      else setParams({ span: forest.nodes[row.node]?.span.spanId, log: undefined });
    },
    [forest, setParams, toggle],
  );
  const move = (by: number) => {
    const next = Math.min(rows.length - 1, Math.max(0, focus + by));
    setFocus(next);
    virtual.scrollToIndex(next);
  };
  const jump = (from: number, want: (r: Row) => boolean) => {
    for (let i = 1; i <= rows.length; i++) {
      const at = (from + i) % rows.length;
      const row = rows[at];
      if (row && want(row)) {
        setFocus(at);
        virtual.scrollToIndex(at, { align: "center" });
        select(row);
        return;
      }
    }
  };
  const zoom = () => {
    const row = rows[focus];
    const n = row?.kind === "span" ? forest.nodes[row.node] : undefined;
    if (view.from > 0 || view.to < 1 || !n || n.duration <= 0) setView({ from: 0, to: 1 });
    else setView(around(n.start / forest.total, n.end / forest.total));
  };
  const onTreeKey = (e: KeyboardEvent) => {
    const row = rows[focus];
    const open = row && row.kind !== "log" && row.open;
    const folds = row && (row.kind === "group" || (row.kind === "span" && row.hidden > 0));
    if (e.key === "ArrowDown") move(1);
    else if (e.key === "ArrowUp") move(-1);
    else if (e.key === "PageDown") move(20);
    else if (e.key === "PageUp") move(-20);
    else if (e.key === "Home") move(-rows.length);
    else if (e.key === "End") move(rows.length);
    else if (e.key === "ArrowRight" && row) {
      if (folds && !open) toggle(row);
      else move(1);
    } else if (e.key === "ArrowLeft" && row) {
      if (folds && open) toggle(row);
      else {
        let up = focus - 1;
        while (up > 0 && rows[up]!.depth >= row.depth) up--;
        move(up - focus);
      }
    } else return;
    e.preventDefault();
  };
  const isBad = (r: Row) =>
    (r.kind === "span" && forest.nodes[r.node]!.error) ||
    (r.kind === "log" && (forest.logs[r.log]?.log.severity ?? 0) >= 17);
  useShortcuts([
    { keys: "j", what: "Next row", run: () => move(1) },
    { keys: "k", what: "Previous row", run: () => move(-1) },
    { keys: "Enter", what: "Show the details of the row", run: () => rows[focus] && select(rows[focus]) },
    { keys: "x", what: "Fold or unfold the row", run: () => rows[focus] && toggle(rows[focus]) },
    { keys: "e", what: "Next error", run: () => jump(focus, isBad) },
    { keys: "z", what: "Zoom to the row's time, or out again", run: () => zoom() },
    { keys: "Esc", what: "Close the details", run: () => setParams({ span: undefined, log: undefined }) },
  ]);

  // A link to a span opens scrolled to it.
  const linked = useRef(params.span);
  useEffect(() => {
    const want = linked.current;
    linked.current = undefined;
    if (!want) return;
    const at = rows.findIndex((r) => r.kind === "span" && forest.nodes[r.node]?.span.spanId === want);
    if (at > 20) virtual.scrollToIndex(at, { align: "center" });
  }, [rows, forest, virtual]);

  if (forest.nodes.length === 0 && forest.logs.length === 0)
    return (
      <Empty title="No spans and no logs">The id is known from metrics only: see its exemplars under Metrics.</Empty>
    );

  const span = Math.max(1, forest.total * (view.to - view.from));
  const start = forest.total * view.from;
  return (
    <div className="wf" style={{ "--wf-name": `${nameWidth}px` } as CSSProperties}>
      <div className="row wrap" style={{ padding: "8px 0" }}>
        <input
          className="input"
          style={{ width: 230 }}
          value={find}
          placeholder="Find: name, service, attribute"
          aria-label="Find spans"
          onChange={(e) => setParams({ find: e.target.value || undefined }, true)}
        />
        <label className="check">
          <input
            type="checkbox"
            checked={showLogs}
            onChange={(e) => setParams({ logs: e.target.checked ? undefined : "off" }, true)}
          />{" "}
          Logs
        </label>
        <label className="check">
          <input
            type="checkbox"
            checked={errorsOnly}
            onChange={(e) => setParams({ errors: e.target.checked ? "only" : undefined }, true)}
          />{" "}
          Errors only
        </label>
        <div className="group">
          <button type="button" className="btn small" onClick={() => setClosed(new Set())}>
            Unfold all
          </button>
          <button
            type="button"
            className="btn small"
            onClick={() =>
              setClosed(
                new Set(forest.nodes.filter((n) => n.depth >= 1 && n.children.length).map((n) => `s${n.index}`)),
              )
            }
          >
            Fold all
          </button>
        </div>
        {(view.from > 0 || view.to < 1) && (
          <button type="button" className="btn small" onClick={() => setView({ from: 0, to: 1 })}>
            Whole time
          </button>
        )}
        <span className="muted small push">
          {only ? `${plural(only.size, "span")} found` : plural(rows.length, "row")}
        </span>
        <CriticalPath forest={forest} />
      </div>
      <Minimap forest={forest} view={view} onView={setView} />
      <div
        style={{
          display: "grid",
          gridTemplateColumns: selected ? "minmax(0, 1fr) minmax(320px, 36%)" : "minmax(0, 1fr)",
          flex: 1,
          minHeight: 0,
        }}
        className="panel"
      >
        <div className="wf">
          <div className="wf-head">
            <div style={{ padding: "4px 8px", position: "relative" }}>
              Operation and service
              <NameGrip width={nameWidth} />
            </div>
            <div className="wf-axis" ref={axis}>
              {ticks(span, Math.max(2, Math.min(10, Math.floor(axisWidth / 110)))).map((t) => (
                <span key={t} style={{ left: `${(t / span) * 100}%` }}>
                  {duration(start + t)}
                </span>
              ))}
            </div>
          </div>
          <div
            className="wf-scroll"
            ref={scroll}
            role="tree"
            aria-label="Spans and logs"
            aria-activedescendant={rows[focus] && `wf-${rows[focus].id}`}
            tabIndex={0}
            onKeyDown={onTreeKey}
          >
            <div style={{ height: virtual.getTotalSize(), position: "relative" }}>
              {virtual.getVirtualItems().map((v) => {
                const row = rows[v.index];
                return (
                  row && (
                    <WaterfallRow
                      key={row.id}
                      row={row}
                      forest={forest}
                      top={v.start}
                      start={start}
                      span={span}
                      focused={v.index === focus}
                      selected={isSelected(row, selected)}
                      onToggle={toggle}
                      onSelect={select}
                    />
                  )
                );
              })}
            </div>
          </div>
        </div>
        {selected && (
          <Detail forest={forest} selected={selected} onClose={() => setParams({ span: undefined, log: undefined })} />
        )}
      </div>
    </div>
  );
}

/** A zoom in the URL: two parts of the whole, 0 to 1. */
function readView(text: string | undefined): View {
  const [from, to] = (text ?? "").split("~").map(Number);
  return from !== undefined && to !== undefined && from >= 0 && to <= 1 && to - from > 1e-7
    ? { from, to }
    : { from: 0, to: 1 };
}

const writeView = (v: View) => `${Number(v.from.toFixed(7))}~${Number(v.to.toFixed(7))}`;

/** A part with a little air on both sides. */
function around(from: number, to: number): View {
  const air = (to - from) * 0.04;
  return { from: Math.max(0, from - air), to: Math.min(1, to + air) };
}

/** Where the time of the critical path went, by service. */
function CriticalPath({ forest }: { forest: Forest }) {
  const shares = useMemo(() => criticalShares(forest), [forest]);
  const sum = shares.reduce((n, s) => n + s.ns, 0);
  return (
    <span
      className="row small muted"
      title="The critical path: the spans that the end of the request waited for, underlined below, and how long each service worked on it"
    >
      <span className="wf-critical">critical path</span>
      {sum > 0 &&
        shares.slice(0, 3).map((s) => (
          <span key={s.service} className="row" style={{ gap: 4 }}>
            <i className="swatch" style={{ background: serviceColor(s.service) }} aria-hidden />
            <bdi className="cut" style={{ maxWidth: 130 }}>
              {s.service.slice(0, 60)}
            </bdi>
            <b className="num">{percent(s.ns / sum)}</b>
          </span>
        ))}
    </span>
  );
}

/** The edge between names and bars: drag it, or move it by the arrow keys. */
function NameGrip({ width }: { width: number }) {
  const from = useRef<{ x: number; width: number }>(undefined);
  const set = (w: number) => settings.set({ nameWidth: Math.round(Math.min(900, Math.max(160, w))) });
  return (
    <div
      className="wf-grip"
      role="separator"
      aria-orientation="vertical"
      aria-label="Width of the names"
      aria-valuenow={width}
      aria-valuemin={160}
      aria-valuemax={900}
      tabIndex={0}
      onPointerDown={(e) => {
        e.currentTarget.setPointerCapture(e.pointerId);
        from.current = { x: e.clientX, width: e.currentTarget.parentElement?.clientWidth ?? width };
      }}
      onPointerMove={(e) => from.current && set(from.current.width + e.clientX - from.current.x)}
      onPointerUp={() => {
        from.current = undefined;
      }}
      onKeyDown={(e) => {
        const by = e.key === "ArrowRight" ? 20 : e.key === "ArrowLeft" ? -20 : 0;
        if (!by) return;
        e.preventDefault();
        e.stopPropagation();
        set(width + by);
      }}
    />
  );
}

function selectionOf(f: Forest, span: string | undefined, log: string | undefined): Selected | undefined {
  if (log !== undefined && f.logs[Number(log)]) return { kind: "log", index: Number(log) };
  if (!span) return undefined;
  const i = f.nodes.findIndex((n) => n.span.spanId === span);
  return i < 0 ? undefined : { kind: "span", index: i };
}

const isSelected = (row: Row, s: Selected | undefined) =>
  (row.kind === "span" && s?.kind === "span" && s.index === row.node) ||
  (row.kind === "log" && s?.kind === "log" && s.index === row.log);

interface RowProps {
  row: Row;
  forest: Forest;
  top: number;
  start: number;
  span: number;
  focused: boolean;
  selected: boolean;
  onToggle: (r: Row) => void;
  onSelect: (r: Row) => void;
}

const indent = 13;

const WaterfallRow = memo(function WaterfallRow({
  row,
  forest,
  top,
  start,
  span,
  focused,
  selected,
  onToggle,
  onSelect,
}: RowProps) {
  const at = (ns: number) => ((ns - start) / span) * 100;
  // A deep trace must leave room for its names.
  const pad = { paddingLeft: `min(${4 + row.depth * indent}px, 38%)` };
  const open = row.kind !== "log" && row.open;
  const folds = row.kind === "group" || (row.kind === "span" && row.hidden > 0);
  return (
    <div
      id={`wf-${row.id}`}
      className="wf-row"
      data-kind={row.kind}
      role="treeitem"
      tabIndex={-1}
      aria-level={row.depth + 1}
      aria-expanded={folds ? open : undefined}
      aria-selected={selected}
      data-selected={selected}
      data-focus={focused}
      style={{ transform: `translateY(${top}px)` }}
      onClick={() => onSelect(row)}
      onKeyDown={(e) => e.key === "Enter" && onSelect(row)}
    >
      <div className="wf-name" style={pad}>
        {folds ? (
          <button
            type="button"
            className="fold"
            tabIndex={-1}
            aria-label={open ? "Fold" : "Unfold"}
            onClick={(e) => {
              e.stopPropagation();
              onToggle(row);
            }}
          >
            {open ? <ChevronDown size={13} /> : <ChevronRight size={13} />}
          </button>
        ) : (
          <span style={{ width: 18, flex: "none" }} />
        )}
        <Name row={row} forest={forest} />
      </div>
      <div className="wf-lane">
        <Lane row={row} forest={forest} at={at} />
      </div>
    </div>
  );
});

function Name({ row, forest }: { row: Row; forest: Forest }) {
  if (row.kind === "log") {
    const l = forest.logs[row.log]!.log;
    return (
      <>
        <i className="svc" style={{ background: serviceColor(l.service ?? "") }} />
        <span
          className="small"
          style={{ color: levelText(levelOf(l.level || l.severityText)), width: 38, flex: "none" }}
        >
          {l.level || l.severityText || "log"}
        </span>
        <bdi className="cut mono muted">{(l.body ?? "").slice(0, 400)}</bdi>
      </>
    );
  }
  if (row.kind === "group") {
    const first = forest.nodes[row.members[0]!]!;
    return (
      <>
        <i className="svc" style={{ background: serviceColor(first.service) }} />
        <span className="badge">{row.members.length}×</span>
        <bdi className="cut">{first.span.name}</bdi>
        <bdi className="cut faint">{first.service}</bdi>
      </>
    );
  }
  const n = forest.nodes[row.node]!;
  return (
    <>
      <i className="svc" style={{ background: serviceColor(n.service) }} />
      {n.error && <CircleAlert size={14} className="wf-failed" role="img" aria-label="error" />}
      <bdi className="cut" style={{ fontWeight: n.depth === 0 ? 600 : 400 }}>
        {(n.span.name || "(no name)").slice(0, 300)}
      </bdi>
      <bdi className="cut faint" style={{ flexShrink: 2 }}>
        {n.service.slice(0, 100)}
      </bdi>
      {!row.open && row.hidden > 0 && <span className="badge">+{row.hidden}</span>}
      {(n.span.flags?.length ?? 0) > 0 && (
        <span className="badge warn" title={n.span.flags?.join(", ")}>
          {n.span.flags?.[0]}
        </span>
      )}
    </>
  );
}

function Lane({ row, forest, at }: { row: Row; forest: Forest; at: (ns: number) => number }) {
  if (row.kind === "log") {
    const l = forest.logs[row.log]!;
    const x = at(l.at);
    return (
      <>
        <i
          className="wf-logmark"
          style={{ left: `min(${x}%, 100% - 3px)`, background: levelColor(levelOf(l.log.level || l.log.severityText)) }}
        />
        <span className="wf-logline" style={x > 80 ? { right: `calc(${Math.max(0, 100 - x)}% + 10px)` } : undefined}>
          +{duration(l.at)}
        </span>
      </>
    );
  }
  if (row.kind === "group") {
    const members = row.members.map((m) => forest.nodes[m]!);
    const from = members.reduce((n, m) => Math.min(n, m.start), Number.POSITIVE_INFINITY);
    const to = members.reduce((n, m) => Math.max(n, m.end), 0);
    const sum = members.reduce((n, m) => n + m.duration, 0);
    return (
      <Bar
        left={at(from)}
        right={at(to)}
        color={serviceColor(members[0]!.service)}
        text={`${duration(sum / members.length)} each, ${duration(sum)} in all`}
        faint
      />
    );
  }
  const n = forest.nodes[row.node]!;
  return (
    <Bar
      left={at(n.start)}
      right={at(n.end)}
      color={serviceColor(n.service)}
      text={duration(n.duration)}
      critical={n.critical}
      error={n.error}
    />
  );
}

function Bar({
  left,
  right,
  color,
  text,
  critical = false,
  error = false,
  faint = false,
}: {
  left: number;
  right: number;
  color: string;
  text: string;
  critical?: boolean;
  error?: boolean;
  faint?: boolean;
}) {
  const width = Math.max(0, right - left);
  // The text stands where there is room: behind the bar, before it, or on it.
  const label: CSSProperties =
    right < 82
      ? { left: `${Math.max(0, right)}%` }
      : left > 18
        ? { right: `${100 - left}%` }
        : { left: `${Math.max(0, left)}%`, color: "var(--bg)" };
  return (
    <>
      <i
        className="wf-bar"
        data-critical={critical}
        data-error={error}
        style={{ left: `${left}%`, width: `${width}%`, background: color, opacity: faint ? 0.55 : 1 }}
      />
      <span className="wf-dur" style={label}>
        {text}
      </span>
    </>
  );
}
