/** Braid's own API: what the standard query APIs cannot say. */
import type { Range } from "@/lib/time";
import { msToNs } from "@/lib/time";
import type {
  CorrelateResponse,
  OutliersRequest,
  OutliersResponse,
  QueriesResponse,
  RequestsBehindRequest,
  RequestsBehindResponse,
  RequestsResponse,
  ServicesResponse,
} from "./generated";
import { getJSON, sendJSON } from "./http";

export type * from "./generated";

const base = "/api/braid/v1";

export const correlatePath = (id: string) => `${base}/correlate/${encodeURIComponent(id)}`;

export const correlate = (id: string, kind: string | undefined, limit: number, signal?: AbortSignal) =>
  getJSON<CorrelateResponse>(correlatePath(id), { kind, limit }, signal);

export const requests = (id: string, sort: string, limit: number, signal?: AbortSignal) =>
  getJSON<RequestsResponse>(`${base}/requests/${encodeURIComponent(id)}`, { sort, limit }, signal);

export const services = (r: Range, signal?: AbortSignal) =>
  getJSON<ServicesResponse>(`${base}/services`, { startNs: msToNs(r.fromMs), endNs: msToNs(r.toMs) }, signal);

export const outliers = (q: OutliersRequest, signal?: AbortSignal) =>
  sendJSON<OutliersResponse>("POST", `${base}/outliers`, q, signal);

export const requestsBehind = (q: RequestsBehindRequest, signal?: AbortSignal) =>
  sendJSON<RequestsBehindResponse>("POST", `${base}/requests-behind`, q, signal);

export const queries = (signal?: AbortSignal) => getJSON<QueriesResponse>(`${base}/queries`, undefined, signal);

/** /health: each part, how it is and why. */
export interface Health {
  status: "healthy" | "degraded" | "unhealthy";
  /** "ready", or what it waits for. */
  state?: string;
  parts?: Record<string, Omit<HealthPart, "name">>;
}

export interface HealthPart {
  name: string;
  status: "healthy" | "degraded" | "unhealthy";
  reason?: string;
  /** What to do about it. */
  way_out?: string;
}

/** Every part by name. The document is an answer whatever its HTTP status says. */
export async function health(signal?: AbortSignal): Promise<Health & { list: HealthPart[] }> {
  const res = await fetch("/health", { signal: signal ?? null, headers: { Accept: "application/json" } });
  const h = (await res.json()) as Health;
  return { ...h, list: Object.entries(h.parts ?? {}).map(([name, p]) => ({ ...p, name })) };
}
