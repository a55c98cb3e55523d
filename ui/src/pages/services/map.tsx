/** The services and who calls whom. An edge leads to its requests. */
import { useMemo, useRef, useState } from "react";
import type { ServiceEdge, ServiceNode } from "@/api/native";
import { count, durationMs, percent, perSecond } from "@/lib/format";
import { useWidth } from "@/parts/size";
import { useRange } from "@/shell/range";
import { href, useGo } from "@/shell/url";
import { healthOf } from "./health";
import { layoutMap } from "./layout";
import { edgeQuery, serviceHref } from "./services";

const boxW = 190;
const boxH = 50;
const gapY = 20;

/** The attributes by which a client's span may name what it calls. */
const peerFields = [
  "span.peer.service",
  "span.db.namespace",
  "span.db.system.name",
  "span.db.name",
  "span.db.system",
  "span.messaging.destination.name",
  "span.messaging.system",
  "span.server.address",
];

const peerQuery = (name: string) => `{ ${peerFields.map((f) => `${f} = ${JSON.stringify(name)}`).join(" || ")} }`;

export function ServiceMap({ nodes, edges }: { nodes: readonly ServiceNode[]; edges: readonly ServiceEdge[] }) {
  const host = useRef<HTMLDivElement>(null);
  const width = useWidth(host);
  const go = useGo();
  const { carry } = useRange();
  const [over, setOver] = useState<string>();
  const layout = useMemo(
    () =>
      layoutMap(
        nodes.map((n) => n.name ?? ""),
        edges.map((e) => ({ from: e.client ?? "", to: e.server ?? "" })),
      ),
    [nodes, edges],
  );
  const stepX = Math.max(
    boxW + 56,
    Math.min(460, layout.columns > 1 ? (width - boxW - 36) / (layout.columns - 1) : 320),
  );
  const counts = new Map<number, number>();
  for (const p of layout.placed.values()) counts.set(p.column, (counts.get(p.column) ?? 0) + 1);
  const place = (name: string) => {
    const p = layout.placed.get(name);
    if (!p) return undefined;
    const free = (layout.rows - (counts.get(p.column) ?? 1)) / 2;
    return { x: 16 + p.column * stepX, y: 16 + (p.row + free) * (boxH + gapY) };
  };
  const total = {
    w: Math.max(width - 2, 32 + (layout.columns - 1) * stepX + boxW),
    h: 32 + layout.rows * (boxH + gapY) - gapY,
  };
  const most = Math.max(1, ...edges.map((e) => Number(e.calls ?? 0)));
  return (
    <div className="panel">
      <div ref={host} className="scroll" style={{ maxHeight: "62vh" }}>
        <svg width={total.w} height={total.h} role="group" aria-label="Map of services and their calls">
          <defs>
            {(["ok", "warn", "error"] as const).map((h) => (
              <marker
                key={h}
                id={`arrow-${h}`}
                viewBox="0 0 8 8"
                refX="7"
                refY="4"
                markerWidth="7"
                markerHeight="7"
                orient="auto-start-reverse"
                markerUnits="userSpaceOnUse"
              >
                <path d="M0 0L8 4L0 8Z" fill={h === "ok" ? "var(--text-3)" : `var(--${h})`} />
              </marker>
            ))}
          </defs>
          {edges.map((e) => {
            const a = place(e.client ?? "");
            const b = place(e.server ?? "");
            if (!a || !b || a === b) return null;
            const h = healthOf(Number(e.errors ?? 0) / Math.max(1, Number(e.calls ?? 0)));
            const back = b.x <= a.x;
            const [x1, y1] = [back ? a.x + boxW / 2 : a.x + boxW, back ? a.y + boxH : a.y + boxH / 2];
            const [x2, y2] = [back ? b.x + boxW / 2 : b.x - 3, back ? b.y + boxH + 3 : b.y + boxH / 2];
            const mid = (x1 + x2) / 2;
            const d = back
              ? `M${x1} ${y1}C${x1} ${y1 + 60} ${x2} ${y2 + 60} ${x2} ${y2}`
              : `M${x1} ${y1}C${mid} ${y1} ${mid} ${y2} ${x2} ${y2}`;
            const dim = over !== undefined && over !== e.client && over !== e.server;
            const open = () => go(href("/explore/traces", { ...carry, q: edgeQuery(e.client ?? "", e.server ?? "") }));
            const say = `${e.client} calls ${e.server}: ${count(Number(e.calls ?? 0))} calls, ${percent(Number(e.errors ?? 0) / Math.max(1, Number(e.calls ?? 0)))} failed, p95 ${durationMs(e.p95Ms ?? 0)}. Click for its requests.`;
            return (
              <a
                key={`${e.client}>${e.server}`}
                href={href("/explore/traces", { ...carry, q: edgeQuery(e.client ?? "", e.server ?? "") })}
                aria-label={say}
                style={{ opacity: dim ? 0.2 : 1 }}
                onClick={(ev) => {
                  ev.preventDefault();
                  open();
                }}
              >
                <title>{say}</title>
                <path d={d} fill="none" stroke="transparent" strokeWidth={14} />
                <path
                  d={d}
                  fill="none"
                  stroke={h === "ok" ? "var(--line-strong)" : `var(--${h})`}
                  strokeWidth={1 + 3 * Math.sqrt(Number(e.calls ?? 0) / most)}
                  markerEnd={`url(#arrow-${h})`}
                />
              </a>
            );
          })}
          {nodes.map((n) => {
            const p = place(n.name ?? "");
            if (!p) return null;
            const h = healthOf(n.errorShare);
            const isService = (n.type || "service") === "service";
            const to = isService
              ? serviceHref(n.name ?? "", carry)
              : href("/explore/traces", {
                  ...carry,
                  q: peerQuery(n.name ?? ""),
                });
            return (
              <a
                key={n.name}
                href={to}
                style={{
                  opacity:
                    over !== undefined &&
                    over !== n.name &&
                    !edges.some(
                      (e) => (e.client === over && e.server === n.name) || (e.server === over && e.client === n.name),
                    )
                      ? 0.35
                      : 1,
                }}
                onClick={(ev) => {
                  ev.preventDefault();
                  go(to);
                }}
                onMouseEnter={() => setOver(n.name)}
                onMouseLeave={() => setOver(undefined)}
              >
                <title>{`${n.name} (${n.type || "service"}): ${perSecond(n.rate ?? 0)} requests, ${percent(n.errorShare ?? 0)} failed, p95 ${durationMs(n.p95Ms ?? 0)}${n.versions?.length ? `; versions ${n.versions.join(", ")}` : ""}`}</title>
                <rect
                  x={p.x}
                  y={p.y}
                  width={boxW}
                  height={boxH}
                  rx={isService ? 7 : 22}
                  fill="var(--raised)"
                  stroke={h === "ok" ? "var(--line-strong)" : `var(--${h})`}
                  strokeWidth={h === "ok" ? 1 : 2}
                />
                <circle cx={p.x + 14} cy={p.y + 17} r={5} fill={`var(--${h})`} />
                <text x={p.x + 26} y={p.y + 21} fill="var(--text)" fontSize={12.5} fontWeight={600}>
                  {(n.name ?? "").length > 19 ? `${n.name?.slice(0, 18)}…` : n.name}
                </text>
                <text x={p.x + 26} y={p.y + 39} fill="var(--text-2)" fontSize={11}>
                  {`${perSecond(n.rate ?? 0)} · ${percent(n.errorShare ?? 0)} · ${durationMs(n.p95Ms ?? 0)}`}
                </text>
              </a>
            );
          })}
        </svg>
      </div>
      <div className="cost map-key">
        <span>In each box: requests · failed · p95 duration.</span>
        <span className="row">
          <i className="dot" style={{ background: "var(--warn)" }} aria-hidden /> more than 0.5 % fail
        </span>
        <span className="row">
          <i className="dot" style={{ background: "var(--error)" }} aria-hidden /> more than 5 % fail
        </span>
        <span>Round: databases, queues and other hosts. Click an arrow for the requests of that call.</span>
      </div>
    </div>
  );
}
