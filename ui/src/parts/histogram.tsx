/** Stacked counts over time, above a list: drag selects a range. */
import { type PointerEvent, useRef, useState } from "react";
import { count } from "@/lib/format";
import { useSettings } from "@/lib/settings";
import { formatTime, type Range, timeTicks } from "@/lib/time";
import { useNotes } from "./notes";
import { useWidth } from "./size";

export interface Stack {
  name: string;
  color: string;
  /** Counts by bucket. */
  counts: readonly number[];
}

interface Props {
  stacks: readonly Stack[];
  range: Range;
  /** Start of the first bucket and width, milliseconds. */
  startMs: number;
  stepMs: number;
  buckets: number;
  height?: number;
  label: string;
  onZoom: (fromMs: number, toMs: number) => void;
}

const left = 46;
const bottom = 18;

export function Histogram({ stacks, range, startMs, stepMs, buckets, height = 110, label, onZoom }: Props) {
  const host = useRef<HTMLDivElement>(null);
  const width = useWidth(host);
  const { zone } = useSettings();
  const notes = useNotes(range);
  const [drag, setDrag] = useState<{ from: number; to: number }>();
  const [over, setOver] = useState<number>();
  const plot = Math.max(1, width - left);
  const tall = height - bottom - 6;
  const totals = Array.from({ length: buckets }, (_, i) => stacks.reduce((n, s) => n + (s.counts[i] ?? 0), 0));
  const max = Math.max(1, ...totals);
  const x = (ms: number) => left + ((ms - range.fromMs) / (range.toMs - range.fromMs)) * plot;
  const ms = (px: number) => range.fromMs + ((px - left) / plot) * (range.toMs - range.fromMs);
  const at = (e: PointerEvent) =>
    Math.min(Math.max(e.clientX - (host.current?.getBoundingClientRect().left ?? 0), left), width);
  const bars = [];
  for (let i = 0; i < buckets && width > 0; i++) {
    let y = height - bottom;
    const x0 = Math.max(left, x(startMs + i * stepMs));
    const w = Math.min(width, x(startMs + (i + 1) * stepMs)) - x0 - 1;
    if (w <= 0) continue;
    for (let s = stacks.length - 1; s >= 0; s--) {
      const n = stacks[s]!.counts[i] ?? 0;
      if (!n) continue;
      const h = Math.max(1, (n / max) * tall);
      y -= h;
      bars.push(<rect key={`${i}/${s}`} x={x0} y={y} width={Math.max(0.5, w)} height={h} fill={stacks[s]!.color} />);
    }
  }
  const marks = Math.max(2, Math.floor(plot / 90));
  const finish = (e: PointerEvent) => {
    if (!drag) return;
    const end = at(e);
    setDrag(undefined);
    if (Math.abs(end - drag.from) > 4) onZoom(ms(Math.min(end, drag.from)), ms(Math.max(end, drag.from)));
    else if (over !== undefined) onZoom(startMs + over * stepMs, startMs + (over + 1) * stepMs);
  };
  return (
    <div
      ref={host}
      className="hist"
      role="img"
      aria-label={label}
      style={{ height }}
      onPointerDown={(e) => {
        if (e.button !== 0) return;
        e.currentTarget.setPointerCapture(e.pointerId);
        setDrag({ from: at(e), to: at(e) });
      }}
      onPointerMove={(e) => {
        const px = at(e);
        setOver(Math.min(buckets - 1, Math.max(0, Math.floor((ms(px) - startMs) / stepMs))));
        if (drag) setDrag({ ...drag, to: px });
      }}
      onPointerUp={finish}
      onPointerLeave={() => setOver(undefined)}
    >
      <svg height={height} aria-hidden>
        <line x1={left} x2={width} y1={height - bottom + 0.5} y2={height - bottom + 0.5} stroke="var(--line)" />
        <text x={left - 6} y={14} textAnchor="end">
          {count(max)}
        </text>
        <text x={left - 6} y={height - bottom} textAnchor="end">
          0
        </text>
        {bars}
        {timeTicks(range, marks, zone).map((t) => (
          <text
            key={t.ms}
            x={Math.min(x(t.ms), width - 18)}
            y={height - 4}
            textAnchor={x(t.ms) < left + 18 ? "start" : "middle"}
          >
            {t.label}
          </text>
        ))}
        {notes.map((n, i) => {
          const from = Math.max(left, x(n.fromMs));
          return (
            <g key={n.id}>
              {n.toMs !== undefined && (
                <rect
                  x={from}
                  y={0}
                  width={Math.max(0, Math.min(width, x(n.toMs)) - from)}
                  height={height - bottom}
                  fill="var(--accent-soft)"
                  opacity={0.5}
                />
              )}
              <line x1={from} x2={from} y1={0} y2={height - bottom} stroke="var(--text-3)" strokeDasharray="5 4" />
              <text x={from + 4} y={11 + (i % 2) * 13}>
                {n.text.slice(0, 40)}
              </text>
            </g>
          );
        })}
        {drag && (
          <rect
            x={Math.min(drag.from, drag.to)}
            y={0}
            width={Math.abs(drag.to - drag.from)}
            height={height - bottom}
            fill="var(--accent)"
            opacity={0.25}
          />
        )}
      </svg>
      {over !== undefined && !drag && (totals[over] ?? 0) > 0 && (
        <div
          className="chart-tip"
          style={
            x(startMs + over * stepMs) > width / 2
              ? { right: width - x(startMs + over * stepMs) + 10, top: 6 }
              : { left: x(startMs + (over + 1) * stepMs) + 10, top: 6 }
          }
        >
          <span className="muted">{formatTime(startMs + over * stepMs, zone, 0)}</span>
          {stacks.map((s) =>
            s.counts[over] ? (
              <div key={s.name} className="row">
                <i className="swatch" style={{ background: s.color }} /> {s.name}{" "}
                <span className="push num">{count(s.counts[over] ?? 0)}</span>
              </div>
            ) : null,
          )}
        </div>
      )}
    </div>
  );
}
