/** The whole request at a glance; drag on it chooses what the waterfall shows. */
import { type PointerEvent, useEffect, useRef, useState } from "react";
import { cssColor } from "@/lib/color";
import { useWidth } from "@/parts/size";
import { serviceColor } from "@/lib/series";
import { useSettings } from "@/lib/settings";
import type { Forest } from "@/lib/waterfall";
import type { View } from "./waterfall";

const height = 44;

const whole: View = { from: 0, to: 1 };

interface Props {
  forest: Forest;
  view?: View;
  /** Absent: it is only looked at. */
  onView?: (v: View) => void;
  /** Nanoseconds of its width, for two of one scale. */
  total?: number;
}

export function Minimap({ forest, view = whole, onView, total: scale = forest.total }: Props) {
  const host = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const width = useWidth(host);
  const { theme } = useSettings();
  const [drag, setDrag] = useState<View>();

  // biome-ignore lint/correctness/useExhaustiveDependencies: the theme decides what the colours resolve to
  useEffect(() => {
    const c = canvas.current;
    const g = c?.getContext("2d");
    if (!c || !g || width === 0) return;
    const dpr = window.devicePixelRatio || 1;
    c.width = width * dpr;
    c.height = height * dpr;
    g.scale(dpr, dpr);
    g.clearRect(0, 0, width, height);
    const colors = new Map<string, string>();
    const total = Math.max(1, scale);
    const depth = Math.max(1, Math.min(60, forest.nodes.reduce((n, x) => Math.max(n, x.depth), 0) + 1));
    const tall = Math.max(1, (height - 6) / depth);
    for (const n of forest.nodes) {
      let color = colors.get(n.service);
      if (!color) {
        color = cssColor(serviceColor(n.service));
        colors.set(n.service, color);
      }
      g.fillStyle = color;
      g.fillRect(
        (n.start / total) * width,
        3 + Math.min(n.depth, depth - 1) * tall,
        Math.max(1, (n.duration / total) * width),
        Math.max(1, tall - 0.5),
      );
    }
    g.fillStyle = cssColor("var(--error)");
    for (const n of forest.nodes) if (n.error) g.fillRect((n.start / total) * width, 0, 2, height);
  }, [forest, scale, width, theme]);

  const at = (e: PointerEvent) => {
    const box = host.current?.getBoundingClientRect();
    return box ? Math.min(1, Math.max(0, (e.clientX - box.left) / box.width)) : 0;
  };
  const shown = drag ? { from: Math.min(drag.from, drag.to), to: Math.max(drag.from, drag.to) } : view;
  return (
    <div
      ref={host}
      className="panel"
      style={{ position: "relative", height: height + 2, marginBottom: 8, flex: "none", touchAction: "none" }}
      role="img"
      aria-label={onView ? "Overview of the request: drag to zoom the waterfall" : "Overview of the request"}
      onPointerDown={(e) => {
        if (!onView) return;
        e.currentTarget.setPointerCapture(e.pointerId);
        setDrag({ from: at(e), to: at(e) });
      }}
      onPointerMove={(e) => drag && setDrag({ ...drag, to: at(e) })}
      onPointerUp={() => {
        if (!drag) return;
        onView?.(shown.to - shown.from > 0.003 ? shown : { from: 0, to: 1 });
        setDrag(undefined);
      }}
    >
      <canvas ref={canvas} className="mini" style={onView ? undefined : { cursor: "default" }} />
      {(shown.from > 0 || shown.to < 1) && (
        <>
          <i
            style={{
              position: "absolute",
              inset: 0,
              right: `${(1 - shown.from) * 100}%`,
              background: "var(--bg)",
              opacity: 0.75,
            }}
          />
          <i
            style={{
              position: "absolute",
              inset: 0,
              left: `${shown.to * 100}%`,
              background: "var(--bg)",
              opacity: 0.75,
            }}
          />
        </>
      )}
    </div>
  );
}
