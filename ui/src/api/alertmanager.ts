/** The Alertmanager v2 API. */
import { getJSON, sendJSON } from "./http";
import type { Labels } from "./prom";

export interface AmAlert {
  labels: Labels;
  annotations: Labels;
  startsAt: string;
  endsAt: string;
  updatedAt: string;
  fingerprint: string;
  generatorURL?: string;
  receivers: { name: string }[];
  status: { state: "active" | "suppressed" | "unprocessed"; silencedBy: string[]; inhibitedBy: string[] };
}

export interface Matcher {
  name: string;
  value: string;
  isRegex: boolean;
  isEqual?: boolean;
}

export interface Silence {
  id: string;
  matchers: Matcher[];
  startsAt: string;
  endsAt: string;
  updatedAt?: string;
  createdBy: string;
  comment: string;
  status: { state: "active" | "pending" | "expired" };
}

export const amAlerts = (signal?: AbortSignal) => getJSON<AmAlert[]>("/api/v2/alerts", undefined, signal);
export const silences = (signal?: AbortSignal) => getJSON<Silence[]>("/api/v2/silences", undefined, signal);

export const createSilence = (s: Omit<Silence, "id" | "status" | "updatedAt"> & { id?: string }) =>
  sendJSON<{ silenceID: string }>("POST", "/api/v2/silences", s);

export const expireSilence = (id: string) => sendJSON<void>("DELETE", `/api/v2/silence/${encodeURIComponent(id)}`);

/** Whether every matcher of a silence holds for a set of labels; a label that is absent is empty. */
export function matches(matchers: readonly Matcher[], labels: Labels): boolean {
  return matchers.every((m) => {
    const v = labels[m.name] ?? "";
    let hit: boolean;
    if (m.isRegex) {
      try {
        hit = new RegExp(`^(?:${m.value})$`).test(v);
      } catch {
        return false;
      }
    } else hit = v === m.value;
    return hit === (m.isEqual ?? true);
  });
}
