import { operations } from "@/pages/request/operations";
import type { Forest } from "@/lib/waterfall";

interface Part {
  count: number;
  errors: number;
  self: number;
}

export interface Difference {
  key: string;
  service: string;
  name: string;
  a: Part;
  b: Part;
  /** Own time of B less that of A, nanoseconds. */
  change: number;
}

const nothing: Part = { count: 0, errors: 0, self: 0 };

/** The operations of two requests, matched by service and name. */
export function diff(a: Forest, b: Forest): Difference[] {
  const left = new Map(operations(a).map((o) => [o.key, o]));
  const right = new Map(operations(b).map((o) => [o.key, o]));
  return [...new Set([...left.keys(), ...right.keys()])].map((key) => {
    const x = left.get(key);
    const y = right.get(key);
    const any = (x ?? y)!;
    return {
      key,
      service: any.service,
      name: any.name,
      a: x ?? nothing,
      b: y ?? nothing,
      change: (y?.self ?? 0) - (x?.self ?? 0),
    };
  });
}

export interface FieldDifference {
  key: string;
  service: string;
  field: string;
  /** Values in each request, sorted; none when the field is not there. */
  a: string[];
  b: string[];
}

const maxValues = 20;
const maxFields = 400;

/**
 * The attributes in which two requests differ, by service: what failed first,
 * then versions and places, at last what differs between any two requests.
 */
export function fieldDiff(a: Forest, b: Forest): FieldDifference[] {
  const [left, right] = [fieldsOf(a), fieldsOf(b)];
  const shared = new Set(a.nodes.map((n) => n.service));
  const both = new Set(b.nodes.map((n) => n.service).filter((s) => shared.has(s)));
  const out: FieldDifference[] = [];
  for (const key of new Set([...left.keys(), ...right.keys()])) {
    const [service, field] = key.split("\0") as [string, string];
    if (!both.has(service)) continue;
    const x = [...(left.get(key) ?? [])].sort();
    const y = [...(right.get(key) ?? [])].sort();
    if (x.join("\0") !== y.join("\0")) out.push({ key, service, field, a: x, b: y });
  }
  return out.sort((p, q) => weight(p) - weight(q) || p.key.localeCompare(q.key)).slice(0, maxFields);
}

function fieldsOf(f: Forest): Map<string, Set<string>> {
  const out = new Map<string, Set<string>>();
  const add = (service: string, field: string, value: string) => {
    const key = `${service}\0${field}`;
    const set = out.get(key) ?? new Set();
    if (set.size < maxValues) set.add(value.slice(0, 300));
    out.set(key, set);
  };
  for (const n of f.nodes) {
    for (const x of n.span.attributes ?? []) add(n.service, x.key ?? "", x.value ?? "");
    for (const x of n.span.resource ?? []) add(n.service, x.key ?? "", x.value ?? "");
    for (const e of n.span.events ?? [])
      for (const x of e.attributes ?? [])
        if (x.key !== "exception.stacktrace") add(n.service, x.key ?? "", x.value ?? "");
  }
  return out;
}

function weight(d: FieldDifference): number {
  if (/error|exception|status/i.test(d.field)) return 0;
  if (/version|flag|variant|region|zone|tier|route|method/i.test(d.field)) return 1;
  if (/(^|[._-])(id|uid|key|token)$|\.(pid|port)$/i.test(d.field)) return 4;
  if (/pod|host|node|instance|container/i.test(d.field)) return 2;
  return 3;
}
