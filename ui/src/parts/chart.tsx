/** Lines over time: drag zooms, dots are exemplars, the legend isolates. Drawn by uPlot. */
import { useEffect, useMemo, useRef, useState } from "react";
import uPlot from "uplot";
import type { Note } from "@/api/kept";
import { cssColor } from "@/lib/color";
import { axisLabels, byUnit } from "@/lib/format";
import { useSettings } from "@/lib/settings";
import { formatClock, formatDay, formatTime, type Range } from "@/lib/time";
import { requestHref, useGo } from "@/shell/url";
import { align, type Columns, type Line, stack } from "./align";
import { useNotes } from "./notes";

export type { Line } from "./align";

export interface Dot {
  ms: number;
  value: number;
  id: string;
  labels: Record<string, string>;
}

export interface Mark {
  ms: number;
  /** The end of a span of time. */
  toMs?: number;
  label: string;
}

export type Style = "line" | "area" | "bar" | "points";

interface Props {
  lines: readonly Line[];
  range: Range;
  stepMs?: number;
  unit?: string | undefined;
  style?: Style;
  height?: number;
  hidden?: ReadonlySet<number>;
  dots?: readonly Dot[];
  marks?: readonly Mark[];
  /** Horizontal lines, for thresholds. */
  levels?: readonly number[];
  label: string;
  onZoom?: (fromMs: number, toMs: number) => void;
  /** A click at a moment on the nearest series. */
  onPoint?: (ms: number, series: number) => void;
}

const none: ReadonlySet<number> = new Set();

interface Hover {
  index: number;
  left: number;
  top: number;
  near: number;
}

export function TimeChart(p: Props) {
  const { lines, range, stepMs, unit, style = "line", height = 260, hidden = none, dots, marks, levels } = p;
  const notes = useNotes(range);
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(undefined);
  const down = useRef<{ x: number; y: number }>(undefined);
  const calls = useRef({ ...p, notes });
  calls.current = { ...p, notes };
  const { theme, zone } = useSettings();
  const [hover, setHover] = useState<Hover>();
  const [drawn, setDrawn] = useState(0);
  const raw = useMemo(() => align(lines, style === "bar" ? undefined : stepMs), [lines, stepMs, style]);
  const stacked = style === "area" || style === "bar";
  const data = useMemo<Columns>(() => {
    if (!stacked) return raw;
    const apart = new Set(lines.flatMap((l, i) => (l.dash ? [i] : [])));
    return stack(raw, hidden, apart);
  }, [raw, stacked, hidden, lines]);
  const shape = lines.map((l) => `${l.name}\0${l.color}\0${l.dash}`).join("\n");

  // biome-ignore lint/correctness/useExhaustiveDependencies: the chart is rebuilt when its shape or theme changes; data and range follow below
  useEffect(() => {
    const el = host.current;
    if (!el) return;
    const u = new uPlot(
      options(el, calls, setHover, () => setDrawn((n) => n + 1), zone),
      data,
      el,
    );
    plot.current = u;
    const watch = new ResizeObserver(() => {
      const width = el.clientWidth;
      if (width > 0 && width !== u.width) u.setSize({ width, height: calls.current.height ?? 260 });
    });
    watch.observe(el);
    return () => {
      watch.disconnect();
      u.destroy();
      plot.current = undefined;
    };
  }, [shape, style, unit, theme, zone, height]);

  useEffect(() => {
    const u = plot.current;
    if (!u) return;
    u.batch(() => {
      lines.forEach((_, i) => {
        if (u.series[i + 1]) u.setSeries(i + 1, { show: !hidden.has(i) });
      });
      u.setData(data, false);
      u.setScale("x", { min: range.fromMs / 1000, max: range.toMs / 1000 });
    });
  }, [data, hidden, lines, range.fromMs, range.toMs]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: marks and levels are painted by hooks, which redraw reaches
  useEffect(() => plot.current?.redraw(false), [marks, levels, notes]);

  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the table of values and the legend say the same by keyboard
    <div
      className="chart"
      style={{ height }}
      onPointerDown={(e) => {
        down.current = { x: e.clientX, y: e.clientY };
      }}
      onClick={(e) => {
        const u = plot.current;
        const from = down.current;
        if (!u || !from || e.target !== u.over || Math.hypot(e.clientX - from.x, e.clientY - from.y) > 4) return;
        if (u.cursor.idx != null) p.onPoint?.((u.data[0][u.cursor.idx] ?? 0) * 1000, nearest(u));
      }}
      onKeyDown={() => {}}
    >
      <div ref={host} style={{ height }} role="img" aria-label={p.label} />
      {dots && plot.current && <Dots dots={dots} plot={plot.current} version={drawn} unit={unit} />}
      {hover && plot.current && (
        <Tip hover={hover} plot={plot.current} raw={raw} lines={lines} hidden={hidden} unit={unit} />
      )}
    </div>
  );
}

type Drawing = Props & { notes: readonly Note[] };
type Calls = { readonly current: Drawing };

function options(
  el: HTMLElement,
  calls: Calls,
  onHover: (h: Hover | undefined) => void,
  onDraw: () => void,
  zone: "local" | "utc",
): uPlot.Options {
  const p = calls.current;
  const text = cssColor("var(--text-2)", el);
  // Each layer of a stack covers those above it: its colour must not shine through.
  const ground = cssColor("var(--surface)", el);
  const grid = { stroke: cssColor("var(--line)", el), width: 1 };
  const fill = p.style === "area" || p.style === "bar";
  const bars = uPlot.paths.bars?.({ size: [0.85, 60], align: 1 });
  return {
    width: Math.max(80, el.clientWidth),
    height: p.height ?? 260,
    legend: { show: false },
    padding: [10, 12, 0, 0],
    cursor: {
      drag: { x: true, y: false, setScale: false },
      focus: { prox: 30 },
      points: { size: 7 },
      sync: { key: "time", scales: ["x", null] },
    },
    scales: {
      x: { time: true, range: () => [calls.current.range.fromMs / 1000, calls.current.range.toMs / 1000] },
      y: {
        range: (_u, min, max) => {
          const all = [min, max, ...(calls.current.levels ?? [])].filter(
            (v): v is number => v != null && Number.isFinite(v),
          );
          if (all.length === 0) return [0, 1];
          const lo = Math.min(...all);
          const hi = Math.max(...all);
          if (fill || lo >= 0) return [0, hi > 0 ? hi * 1.06 : 1];
          const pad = (hi - lo || Math.abs(hi) || 1) * 0.06;
          return [lo - pad, hi + pad];
        },
      },
    },
    axes: [
      {
        stroke: text,
        grid,
        ticks: { show: false },
        font: "11px system-ui, sans-serif",
        space: 90,
        size: 26,
        values: (_u, splits, _i, _s, incr) =>
          splits.map((s, i) => axisTime(s * 1000, incr, zone, i === 0 ? undefined : splits[i - 1]! * 1000)),
      },
      {
        stroke: text,
        grid,
        ticks: { show: false },
        font: "11px system-ui, sans-serif",
        // As wide as its longest label: the rest belongs to the data.
        size: (_u, values) => Math.min(110, 18 + 6.2 * Math.max(3, ...(values ?? []).map((v) => v.length))),
        ...(isTime(p.unit) ? { incrs: timeIncrements(p.unit) } : isBytes(p.unit) ? { incrs: byteIncrements } : {}),
        values: (_u, splits) => axisLabels(splits, p.unit),
      },
    ],
    series: [
      {},
      ...p.lines.map((l): uPlot.Series => {
        const stroke = cssColor(l.color, el);
        return {
          label: l.name,
          stroke,
          width: p.style === "bar" && !l.dash ? 0 : 1.6,
          ...(l.dash ? { dash: [5, 4] } : {}),
          ...(fill && !l.dash
            ? { fill: p.style === "bar" ? stroke : `color-mix(in srgb, ${stroke} 45%, ${ground})` }
            : {}),
          ...(p.style === "bar" && bars && !l.dash ? { paths: bars } : {}),
          ...(p.style === "points" ? { paths: () => null } : {}),
          points: { show: p.style === "points" ? true : (_u, i) => lonely(_u, i), size: 4, fill: stroke },
          spanGaps: false,
        };
      }),
    ],
    hooks: {
      setSelect: [
        (u) => {
          if (u.select.width > 3) {
            calls.current.onZoom?.(
              u.posToVal(u.select.left, "x") * 1000,
              u.posToVal(u.select.left + u.select.width, "x") * 1000,
            );
          }
          u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        },
      ],
      setCursor: [
        (u) => {
          const { left, top, idx } = u.cursor;
          // A cursor synchronised from another chart draws its line here, but no box.
          const mine = u.cursor.event != null;
          if (!mine || idx == null || left == null || left < 0 || top == null) onHover(undefined);
          else onHover({ index: idx, left: left + u.over.offsetLeft, top: top + u.over.offsetTop, near: nearest(u) });
        },
      ],
      draw: [
        (u) => {
          paintLevels(u, calls.current);
          onDraw();
        },
      ],
    },
  };
}

const perSecondOf: Record<string, number> = { s: 1, seconds: 1, ms: 1e3, milliseconds: 1e3, ns: 1e9 };
const isTime = (unit: string | undefined): unit is string => unit !== undefined && unit in perSecondOf;

/** Steps of an axis of durations: round in seconds, then in minutes and hours. */
function timeIncrements(unit: string): number[] {
  const k = perSecondOf[unit] ?? 1;
  const small = Array.from({ length: 12 }, (_, i) => 10 ** (i - 10)).flatMap((p) => [p, 2 * p, 5 * p]);
  return [...small, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14_400, 28_800, 86_400, 172_800, 864_000].map(
    (s) => s * k,
  );
}

const isBytes = (unit: string | undefined) => /^(bytes|By|B)(\/s)?$/.test(unit ?? "");

/** Steps of an axis of bytes: round in KiB, MiB and GiB. */
const byteIncrements = Array.from({ length: 54 }, (_, i) => 2 ** i);

/** Points are drawn where a line would be invisible: values with holes on both sides. */
function lonely(u: uPlot, series: number): boolean {
  const col = u.data[series] as (number | null)[];
  let n = 0;
  for (const v of col) if (v != null && ++n > 2) return false;
  return n > 0;
}

function nearest(u: uPlot): number {
  const { idx, top } = u.cursor;
  let best = -1;
  let gap = Number.POSITIVE_INFINITY;
  if (idx == null || top == null) return best;
  for (let i = 1; i < u.series.length; i++) {
    const v = (u.data[i] as (number | null)[])[idx];
    if (v == null || !u.series[i]!.show) continue;
    const d = Math.abs(u.valToPos(v, "y") - top);
    if (d < gap) {
      gap = d;
      best = i - 1;
    }
  }
  return best;
}

function axisTime(ms: number, incr: number, zone: "local" | "utc", before: number | undefined): string {
  const day = formatDay(ms, zone);
  if (incr >= 86_400) return day.slice(5);
  const clock = formatClock(ms, zone, incr < 1 ? 3 : 0);
  const short = incr >= 60 ? clock.slice(0, 5) : clock;
  return before !== undefined && formatDay(before, zone) !== day ? `${day.slice(5)} ${short}` : short;
}

function paintLevels(u: uPlot, p: Drawing) {
  const { ctx, bbox } = u;
  ctx.save();
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([6 * devicePixelRatio, 4 * devicePixelRatio]);
  for (const level of p.levels ?? []) {
    const y = u.valToPos(level, "y", true);
    if (y < bbox.top || y > bbox.top + bbox.height) continue;
    ctx.strokeStyle = cssColor("var(--error)", u.root);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
  }
  const marks: Mark[] = [
    ...(p.marks ?? []),
    ...p.notes.map((n) => ({ ms: n.fromMs, label: n.text, ...(n.toMs === undefined ? {} : { toMs: n.toMs }) })),
  ];
  ctx.textAlign = "left";
  ctx.textBaseline = "alphabetic";
  ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
  // Labels that would stand in each other take the next line.
  const ends: number[] = [];
  marks.sort((a, b) => a.ms - b.ms);
  for (const m of marks) {
    const x = u.valToPos(m.ms / 1000, "x", true);
    if (m.toMs !== undefined) {
      const from = Math.max(bbox.left, x);
      const to = Math.min(bbox.left + bbox.width, u.valToPos(m.toMs / 1000, "x", true));
      ctx.fillStyle = cssColor("var(--accent-soft)", u.root);
      ctx.globalAlpha = 0.5;
      if (to > from) ctx.fillRect(from, bbox.top, to - from, bbox.height);
      ctx.globalAlpha = 1;
    }
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.strokeStyle = cssColor("var(--text-3)", u.root);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    const label = m.label.slice(0, 40);
    if (label === "") continue;
    const free = ends.findIndex((end) => end < x);
    const row = free >= 0 ? free : ends.length < 3 ? ends.length : 0;
    const wide = ctx.measureText(label).width + 4 * devicePixelRatio;
    // At the right edge a label stands before its line.
    const at = x + wide > bbox.left + bbox.width ? x - wide : x + 4 * devicePixelRatio;
    ends[row] = at + wide + 6 * devicePixelRatio;
    ctx.fillStyle = cssColor("var(--text-2)", u.root);
    ctx.fillText(label, at, bbox.top + (11 + row * 13) * devicePixelRatio);
  }
  ctx.restore();
}

const maxDots = 250;
/** Of dots that would lie on one another one is drawn: the first that came. */
const dotGrid = 11;

function Dots({
  dots,
  plot,
  unit,
  version,
}: {
  dots: readonly Dot[];
  plot: uPlot;
  unit: string | undefined;
  version: number;
}) {
  const go = useGo();
  const [over, setOver] = useState<{ dot: Dot; x: number; y: number }>();
  const placed = useMemo(() => {
    const out: { dot: Dot; x: number; y: number }[] = [];
    if (version === 0) return out;
    const { offsetLeft, offsetTop, clientWidth, clientHeight } = plot.over;
    const seen = new Set<string>();
    for (const dot of dots) {
      const x = plot.valToPos(dot.ms / 1000, "x");
      const y = plot.valToPos(dot.value, "y");
      if (x < 0 || x > clientWidth) continue;
      const top = Math.min(Math.max(y, 4), clientHeight);
      const cell = `${Math.round(x / dotGrid)}/${Math.round(top / dotGrid)}`;
      if (seen.has(cell)) continue;
      seen.add(cell);
      out.push({ dot, x: x + offsetLeft, y: top + offsetTop });
      if (out.length >= maxDots) break;
    }
    return out;
  }, [dots, plot, version]);
  return (
    <>
      {placed.map((d, i) => (
        <button
          key={`${d.dot.id}/${d.dot.ms}/${i}`}
          type="button"
          className="exemplar"
          style={{ left: d.x, top: d.y }}
          aria-label={`Exemplar: request ${d.dot.id}, ${byUnit(d.dot.value, unit)}`}
          onClick={() => d.dot.id && go(requestHref(d.dot.id))}
          onMouseEnter={() => setOver(d)}
          onMouseLeave={() => setOver(undefined)}
          onFocus={() => setOver(d)}
          onBlur={() => setOver(undefined)}
        />
      ))}
      {over && (
        <div className="chart-tip" style={place(over.x, over.y, plot.width)}>
          <b>{byUnit(over.dot.value, unit)}</b> <span className="muted">{formatTime(over.dot.ms)}</span>
          <table>
            <tbody>
              {Object.entries(over.dot.labels)
                .slice(0, 12)
                .map(([k, v]) => (
                  <tr key={k}>
                    <td className="muted">{k}</td>
                    <td className="mono">
                      <bdi>{v.slice(0, 80)}</bdi>
                    </td>
                  </tr>
                ))}
            </tbody>
          </table>
          <span className="muted">Click: open the request</span>
        </div>
      )}
    </>
  );
}

const place = (x: number, y: number, width: number) =>
  x > width / 2 ? { right: width - x + 14, top: y + 10 } : { left: x + 14, top: y + 10 };

const maxTip = 12;

function Tip({
  hover,
  plot,
  raw,
  lines,
  hidden,
  unit,
}: {
  hover: Hover;
  plot: uPlot;
  raw: Columns;
  lines: readonly Line[];
  hidden: ReadonlySet<number>;
  unit: string | undefined;
}) {
  const rows = lines
    .map((l, i) => ({ l, i, v: (raw[i + 1] as (number | null)[] | undefined)?.[hover.index] }))
    .filter((r) => r.v != null && !hidden.has(r.i))
    .sort((a, b) => (b.v ?? 0) - (a.v ?? 0));
  if (rows.length === 0) return null;
  let shown = rows.slice(0, maxTip);
  const near = rows.find((r) => r.i === hover.near);
  if (near && !shown.includes(near)) shown = [...shown.slice(0, maxTip - 1), near];
  return (
    <div className="chart-tip" style={place(hover.left, Math.min(hover.top, plot.height / 2), plot.width)}>
      <span className="muted">{formatTime((raw[0][hover.index] ?? 0) * 1000)}</span>
      <table>
        <tbody>
          {shown.map((r) => (
            <tr key={r.i} style={r.i === hover.near ? { fontWeight: 600 } : undefined}>
              <td>
                <i className="swatch" style={{ background: r.l.color }} /> <bdi>{r.l.name.slice(0, 90)}</bdi>
              </td>
              <td className="num">{byUnit(r.v ?? Number.NaN, unit)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {rows.length > shown.length && <span className="muted">and {rows.length - shown.length} more</span>}
    </div>
  );
}
