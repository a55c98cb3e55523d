/** Spans summed by service and name. */
import { type Forest, selfTime } from "@/lib/waterfall";

export interface Operation {
  key: string;
  service: string;
  name: string;
  count: number;
  errors: number;
  total: number;
  self: number;
  max: number;
}

export function operations(f: Forest): Operation[] {
  const by = new Map<string, Operation>();
  for (const n of f.nodes) {
    const key = `${n.service}\0${n.span.name}`;
    let o = by.get(key);
    if (!o) {
      o = { key, service: n.service, name: n.span.name ?? "", count: 0, errors: 0, total: 0, self: 0, max: 0 };
      by.set(key, o);
    }
    o.count++;
    o.errors += n.error ? 1 : 0;
    o.total += n.duration;
    o.self += selfTime(f, n.index);
    o.max = Math.max(o.max, n.duration);
  }
  return [...by.values()];
}
