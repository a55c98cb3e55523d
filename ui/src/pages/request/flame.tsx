/** Spans of one path summed: how wide a box is says how long the request spent below it. */
import { useMemo, useRef, useState } from "react";
import { duration, percent, plural } from "@/lib/format";
import { serviceColor } from "@/lib/series";
import type { Forest } from "@/lib/waterfall";
import { Empty } from "@/parts/feedback";
import { useWidth } from "@/parts/size";

export interface FlameNode {
  name: string;
  service: string;
  value: number;
  count: number;
  errors: number;
  depth: number;
  from: number;
  children: Map<string, FlameNode>;
}

const maxDepth = 400;

/** Sums spans with the same path of service and name. */
export function buildFlame(f: Forest): FlameNode {
  const make = (name: string, service: string, depth: number): FlameNode => ({
    name,
    service,
    value: 0,
    count: 0,
    errors: 0,
    depth,
    from: 0,
    children: new Map(),
  });
  const root = make("all", "", 0);
  root.count = f.nodes.length;
  const stack = f.roots.map((r) => ({ span: r, into: root }));
  while (stack.length) {
    const { span, into } = stack.pop()!;
    const n = f.nodes[span]!;
    const key = `${n.service}\0${n.span.name}`;
    let box = into.children.get(key);
    if (!box) {
      box = make(n.span.name ?? "", n.service, into.depth + 1);
      into.children.set(key, box);
    }
    box.value += n.duration;
    box.count++;
    box.errors += n.error ? 1 : 0;
    if (into === root) root.value += n.duration;
    if (box.depth < maxDepth) for (const c of n.children) stack.push({ span: c, into: box });
  }
  return root;
}

/** Boxes wide enough to see, laid out from a node down. Children that ran at once share their parent's width. */
export function layout(top: FlameNode, least = 0.0008): { node: FlameNode; x: number; w: number; y: number }[] {
  const out: { node: FlameNode; x: number; w: number; y: number }[] = [];
  const stack = [{ node: top, x: 0, w: 1, y: 0 }];
  while (stack.length) {
    const b = stack.pop()!;
    out.push(b);
    const kids = [...b.node.children.values()].sort((a, c) => c.value - a.value);
    const sum = kids.reduce((n, k) => n + k.value, 0);
    const base = Math.max(b.node.value, sum, 1);
    let x = b.x;
    for (const k of kids) {
      const w = (k.value / base) * b.w;
      if (w >= least) stack.push({ node: k, x, w, y: b.y + 1 });
      x += w;
    }
  }
  return out;
}

const tall = 20;

export function Flame({ forest }: { forest: Forest }) {
  const root = useMemo(() => buildFlame(forest), [forest]);
  const [top, setTop] = useState<FlameNode>();
  const [over, setOver] = useState<FlameNode>();
  const host = useRef<HTMLDivElement>(null);
  const width = useWidth(host);
  const boxes = useMemo(() => layout(top ?? root), [top, root]);
  const depth = boxes.reduce((n, b) => Math.max(n, b.y), 0) + 1;
  if (forest.nodes.length === 0) return <Empty title="No spans">A flame graph is drawn from spans.</Empty>;
  const shown = over ?? top ?? root;
  return (
    <div className="col grow" style={{ minHeight: 0, paddingTop: 8 }}>
      <div className="row" style={{ minHeight: 26 }}>
        <button type="button" className="btn small" disabled={!top} onClick={() => setTop(undefined)}>
          Whole request
        </button>
        <span className="cut">
          <b>
            <bdi>{shown.service ? `${shown.service}: ${shown.name}` : "All spans"}</bdi>
          </b>{" "}
          {duration(shown.value)} · {percent(root.value ? shown.value / root.value : 0)} · {plural(shown.count, "span")}
          {shown.errors > 0 && <span className="t-error"> · {plural(shown.errors, "error")}</span>}
        </span>
      </div>
      <div ref={host} className="panel scroll grow">
        <div style={{ position: "relative", height: depth * tall }}>
          {boxes.map((b, i) => (
            <button
              key={i}
              type="button"
              title={`${b.node.service} ${b.node.name}: ${duration(b.node.value)}`}
              onClick={() => setTop(b.node === top || b.node === root ? undefined : b.node)}
              onMouseEnter={() => setOver(b.node)}
              onMouseLeave={() => setOver(undefined)}
              onFocus={() => setOver(b.node)}
              className="flame-box cut"
              style={{
                left: b.x * width,
                width: Math.max(1, b.w * width - 1),
                top: b.y * tall,
                height: tall - 1,
                background: b.node.service
                  ? `color-mix(in srgb, ${serviceColor(b.node.service)} 40%, var(--surface))`
                  : "var(--hover)",
                borderColor: b.node.errors ? "var(--error)" : "transparent",
              }}
            >
              {b.w * width > 34 && (
                <>
                  <bdi>{b.node.name.slice(0, 120) || "all"}</bdi>
                  {b.w * width > 160 && <bdi> · {b.node.service.slice(0, 60)}</bdi>}
                </>
              )}
            </button>
          ))}
        </div>
      </div>
    </div>
  );
}
