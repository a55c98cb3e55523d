/** Alert episodes and the evidence that was kept with them. */
import { ApiError, getJSON } from "./http";
import type { Labels } from "./prom";

export interface Episode {
  fingerprint: string;
  name: string;
  labels: Labels;
  annotations?: Labels;
  expr: string;
  group?: string;
  value: number;
  pendingAt: string;
  firedAt: string;
  resolvedAt?: string;
  lost?: boolean;
  pages?: {
    at: string;
    receiver: string;
    integration: string;
    resolved?: boolean;
    error?: string;
    attempts?: number;
  }[];
  hasEvidence?: boolean;
  state?: string;
}

export interface Pack {
  gathered: string;
  from: string;
  to: string;
  values: { labels: Labels; points: { t: string; v: number }[] }[];
  requests: KeptRequest[];
  logs: { time: string; service: string; level: string; text: string; traceId?: string; count?: number }[];
  logQuery?: string;
  different: { field: string; value: string; share: number; rest: number; score: number }[];
  runbook?: string;
  missing?: string[];
}

export interface KeptRequest {
  traceId: string;
  requestId?: string;
  service: string;
  route: string;
  status: string;
  error: boolean;
  start: string;
  durationNs: string;
  reason: string;
}

/** A server whose alerter runs elsewhere has no history of its own: that is an empty one. */
export async function alertHistory(
  q: { name?: string | undefined; fingerprint?: string | undefined; startMs?: number; endMs?: number; limit?: number },
  signal?: AbortSignal,
): Promise<Episode[]> {
  const p = {
    name: q.name,
    fingerprint: q.fingerprint,
    start: q.startMs && (q.startMs / 1000).toFixed(3),
    end: q.endMs && (q.endMs / 1000).toFixed(3),
    limit: q.limit ?? 200,
  };
  try {
    return (await getJSON<{ alerts?: Episode[] }>("/api/braid/v1/alerts/history", p, signal)).alerts ?? [];
  } catch (e) {
    if (e instanceof ApiError && (e.status === 404 || e.status === 501)) return [];
    throw e;
  }
}

export async function evidenceOf(fingerprint: string, fired: string, signal?: AbortSignal): Promise<Pack | null> {
  const path = `/api/braid/v1/alerts/${encodeURIComponent(fingerprint)}/evidence`;
  return (await getJSON<{ evidence: Pack | null }>(path, { fired }, signal)).evidence;
}

const key = (l: Labels) => JSON.stringify(Object.entries(l).sort());

/** The newest episode of an alert: the one with the same labels. */
export const episodeOf = (list: readonly Episode[], labels: Labels): Episode | undefined =>
  list.filter((e) => key(e.labels) === key(labels)).sort((a, b) => b.firedAt.localeCompare(a.firedAt))[0];
