/** Counts by time and size: dark is few, bright is many. Drag selects a region. */
import { type PointerEvent, useEffect, useRef, useState } from "react";
import { count } from "@/lib/format";
import { useSettings } from "@/lib/settings";
import { formatTime, type Range, timeTicks } from "@/lib/time";
import { cssColor } from "@/lib/color";
import { useWidth } from "./size";

/** Rows by bucket, lowest first; columns by time. */
export interface HeatData {
  /** Start of each column, milliseconds. */
  times: readonly number[];
  stepMs: number;
  /** Upper bound of each row; the lower is the one before. */
  bounds: readonly number[];
  cells: readonly (readonly number[])[];
}

export interface Region {
  fromMs: number;
  toMs: number;
  /** Bounds of the value; 0 and Infinity are open. */
  low: number;
  high: number;
}

interface Props {
  data: HeatData;
  range: Range;
  format: (v: number) => string;
  height?: number;
  label: string;
  selected?: Region | undefined;
  onSelect?: (r: Region | undefined) => void;
}

const left = 68;
const bottom = 20;

/** Brings series of one bucket each, as TraceQL and PromQL answer, into rows and columns. */
export function toHeat(
  series: readonly { bound: number; points: readonly (readonly [number, number])[] }[],
  stepMs: number,
): HeatData {
  const sorted = [...series].filter((s) => Number.isFinite(s.bound)).sort((a, b) => a.bound - b.bound);
  const times = [...new Set(sorted.flatMap((s) => s.points.map((p) => p[0])))].sort((a, b) => a - b);
  const at = new Map(times.map((t, i) => [t, i]));
  const cells = sorted.map((s) => {
    const row = new Array<number>(times.length).fill(0);
    for (const [t, v] of s.points) if (Number.isFinite(v)) row[at.get(t)!] = v;
    return row;
  });
  return { times, stepMs, bounds: sorted.map((s) => s.bound), cells };
}

export function Heatmap({ data, range, format, height = 200, label, selected, onSelect }: Props) {
  const host = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const width = useWidth(host);
  const { theme, zone } = useSettings();
  const [drag, setDrag] = useState<{ x0: number; y0: number; x1: number; y1: number }>();
  const [over, setOver] = useState<{ col: number; row: number; x: number; y: number }>();
  const plotW = Math.max(1, width - left);
  const plotH = height - bottom;
  const rows = Math.max(1, data.bounds.length);
  const x = (ms: number) => left + ((ms - range.fromMs) / (range.toMs - range.fromMs)) * plotW;
  const ms = (px: number) => range.fromMs + ((px - left) / plotW) * (range.toMs - range.fromMs);
  const rowAt = (py: number) => Math.min(rows - 1, Math.max(0, Math.floor(((plotH - py) / plotH) * rows)));

  // biome-ignore lint/correctness/useExhaustiveDependencies: x and the theme's colours follow from width, range and theme
  useEffect(() => {
    const c = canvas.current;
    const g = c?.getContext("2d");
    if (!c || !g || width === 0) return;
    const dpr = window.devicePixelRatio || 1;
    c.width = width * dpr;
    c.height = height * dpr;
    c.style.width = `${width}px`;
    c.style.height = `${height}px`;
    g.scale(dpr, dpr);
    const ramp = [0, 1, 2, 3, 4].map((i) => cssColor(`var(--heat-${i})`, c));
    g.fillStyle = ramp[0]!;
    g.fillRect(left, 0, plotW, plotH);
    const max = Math.max(1e-12, ...data.cells.flat());
    // Logarithmic: one burst must not turn everything else dark.
    const scale = max < 50 ? 50 / max : 1;
    const tall = plotH / rows;
    data.cells.forEach((row, r) => {
      row.forEach((v, i) => {
        if (v <= 0) return;
        const x0 = Math.max(left, x(data.times[i]!));
        const x1 = Math.min(width, x(data.times[i]! + data.stepMs));
        g.fillStyle = shade(ramp, 0.15 + 0.85 * (Math.log1p(v * scale) / Math.log1p(max * scale)));
        g.fillRect(x0, plotH - (r + 1) * tall, Math.max(1, x1 - x0 - 0.5), Math.max(1, tall - 0.5));
      });
    });
    g.fillStyle = cssColor("var(--text-2)", c);
    g.font = "11px system-ui, sans-serif";
    g.textAlign = "right";
    const every = Math.max(1, Math.ceil(16 / tall));
    for (let r = 0; r < data.bounds.length; r += every)
      g.fillText(format(data.bounds[r]!), left - 6, plotH - (r + 1) * tall + 9);
    g.textAlign = "center";
    for (const t of timeTicks(range, Math.max(2, Math.floor(plotW / 90)), zone))
      g.fillText(t.label, Math.min(x(t.ms), width - 18), height - 5);
  }, [data, width, height, theme, zone, range.fromMs, range.toMs]);

  const local = (e: PointerEvent) => {
    const box = host.current?.getBoundingClientRect();
    return {
      px: Math.min(width, Math.max(left, e.clientX - (box?.left ?? 0))),
      py: Math.min(plotH, Math.max(0, e.clientY - (box?.top ?? 0))),
    };
  };
  const regionOf = (d: NonNullable<typeof drag>): Region => {
    const lowRow = rowAt(Math.max(d.y0, d.y1) - 0.5);
    const highRow = rowAt(Math.min(d.y0, d.y1) + 0.5);
    return {
      fromMs: ms(Math.min(d.x0, d.x1)),
      toMs: ms(Math.max(d.x0, d.x1)),
      low: lowRow === 0 ? 0 : data.bounds[lowRow - 1]!,
      high: highRow >= rows - 1 ? Number.POSITIVE_INFINITY : data.bounds[highRow]!,
    };
  };
  const rowOf = (v: number) => {
    const i = data.bounds.findIndex((b) => b > v);
    return i < 0 ? rows : i;
  };
  const box = drag
    ? {
        left: Math.min(drag.x0, drag.x1),
        width: Math.abs(drag.x1 - drag.x0),
        top: Math.min(drag.y0, drag.y1),
        height: Math.abs(drag.y1 - drag.y0),
      }
    : selected && {
        left: x(selected.fromMs),
        width: x(selected.toMs) - x(selected.fromMs),
        top: Number.isFinite(selected.high) ? plotH - (plotH / rows) * rowOf(selected.high * 0.9999) - plotH / rows : 0,
        height: 0,
        bottom: height - plotH + (selected.low > 0 ? (plotH / rows) * rowOf(selected.low) : 0),
      };
  return (
    <div
      ref={host}
      className="heat"
      role="img"
      aria-label={label}
      style={{ height, cursor: onSelect ? "crosshair" : "default" }}
      onPointerDown={(e) => {
        if (!onSelect || e.button !== 0) return;
        const p = local(e);
        e.currentTarget.setPointerCapture(e.pointerId);
        setDrag({ x0: p.px, y0: p.py, x1: p.px, y1: p.py });
      }}
      onPointerMove={(e) => {
        const p = local(e);
        if (drag) setDrag({ ...drag, x1: p.px, y1: p.py });
        const t = ms(p.px);
        const col = data.times.findIndex((c) => t >= c && t < c + data.stepMs);
        setOver(col < 0 ? undefined : { col, row: rowAt(p.py), x: p.px, y: p.py });
      }}
      onPointerUp={() => {
        if (!drag) return;
        setDrag(undefined);
        if (Math.abs(drag.x1 - drag.x0) > 4 || Math.abs(drag.y1 - drag.y0) > 4) onSelect?.(regionOf(drag));
        else if (over && (data.cells[over.row]?.[over.col] ?? 0) > 0) {
          const t = data.times[over.col]!;
          onSelect?.({
            fromMs: t,
            toMs: t + data.stepMs,
            low: over.row === 0 ? 0 : data.bounds[over.row - 1]!,
            high: over.row >= rows - 1 ? Number.POSITIVE_INFINITY : data.bounds[over.row]!,
          });
        } else onSelect?.(undefined);
      }}
      onPointerLeave={() => setOver(undefined)}
    >
      <canvas ref={canvas} />
      {box && (
        <div
          className="sel"
          style={
            "bottom" in box ? { left: box.left, width: box.width, top: Math.max(0, box.top), bottom: box.bottom } : box
          }
        />
      )}
      {over && !drag && (data.cells[over.row]?.[over.col] ?? 0) > 0 && (
        <div
          className="chart-tip"
          style={over.x > width / 2 ? { right: width - over.x + 12, top: 8 } : { left: over.x + 12, top: 8 }}
        >
          <b>{count(data.cells[over.row]![over.col]!)}</b> of {over.row > 0 ? format(data.bounds[over.row - 1]!) : "0"}{" "}
          to {format(data.bounds[over.row]!)}
          <div className="muted">{formatTime(data.times[over.col]!, zone, 0)}</div>
        </div>
      )}
    </div>
  );
}

/** What the colours of a heatmap say: from one to the fullest cell. */
export function HeatScale({ data, unit }: { data: HeatData; unit: string }) {
  const max = data.cells.reduce((n, row) => row.reduce((m, v) => Math.max(m, v), n), 0);
  if (max <= 0) return null;
  return (
    <span className="row small muted nowrap" style={{ gap: 5 }}>
      few
      <i className="heat-scale" aria-hidden />
      {count(max)} {unit}
    </span>
  );
}

/** A colour between two neighbours of a ramp. */
function shade(ramp: readonly string[], part: number): string {
  const p = Math.min(1, Math.max(0, part)) * (ramp.length - 1);
  const i = Math.max(0, Math.min(ramp.length - 2, Math.floor(p)));
  return `color-mix(in srgb, ${ramp[i + 1]} ${Math.round((p - i) * 100)}%, ${ramp[i]})`;
}
