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
