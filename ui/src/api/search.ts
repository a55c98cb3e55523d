/** Braid's own search over logs: what it counts, it counts over every record that matches. */
import { msToNs, type Range } from "@/lib/time";
import { getJSON } from "./http";

const base = "/api/braid/v1/logs";

const bounds = (r: Range) => ({ start: msToNs(r.fromMs), end: msToNs(r.toMs) });

export interface FieldSummary {
  name: string;
  /** As LogQL spells it. */
  label: string;
  scope: "record" | "resource" | "scope" | "intrinsic" | "any";
  kind: string;
  /** Records that have it. */
  count: number;
}

export const logFields = async (q: string, r: Range, signal?: AbortSignal) =>
  (await getJSON<{ fields: FieldSummary[] }>(`${base}/fields`, { q, ...bounds(r), limit: 1000 }, signal)).fields;

/** The most frequent values of a field. */
export interface Facet {
  label: string;
  values: { value: string; count: number }[];
  /** Records that lack the field, and those with values not listed. */
  missing: number;
  other: number;
  distinct: number;
  /** More values than were counted: those listed may lack some. */
  partial?: boolean;
}

export async function logFacet(q: string, r: Range, field: string, top: number, signal?: AbortSignal): Promise<Facet> {
  const p = { q, ...bounds(r), field: [field], top };
  const a = await getJSON<{ facets: Facet[] }>(`${base}/facets`, p, signal);
  return a.facets[0] ?? { label: field, values: [], missing: 0, other: 0, distinct: 0 };
}

export interface FoundRecord {
  /** Its place, unique among all. */
  at: string;
  time: string;
  level: string;
  body: unknown;
  attributes: Record<string, unknown>;
  resource?: Record<string, unknown>;
}

export interface Around {
  before: FoundRecord[];
  after: FoundRecord[];
}

/** Records before and after one moment, of all that a selector matches, in the order of the store. */
export const logContext = (q: string, r: Range, ns: string, n: number, signal?: AbortSignal) =>
  getJSON<Around>(`${base}/context`, { q, ...bounds(r), time: ns, before: n, after: n, same: "none" }, signal);

/** What a record says, as a line. */
export const textOf = (r: FoundRecord) => (typeof r.body === "string" ? r.body : JSON.stringify(r.body ?? ""));
